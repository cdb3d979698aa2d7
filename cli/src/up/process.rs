//! One child process: started through `weft __child`, followed, asked to end, ended.
//!
//! Invariants: a child is the leader of a process group of its own, so that a Ctrl-C at the
//! terminal reaches only the supervisor and an end reaches what the child started as well; it is
//! started from the thread that runs the supervisor's runtime (see [`crate::child`] for why); a
//! dropped child is killed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::logs::{Log, Show};

/// How long to go on reading what a process wrote after it ended: something that it started may
/// still hold its pipes.
const LAST_LINES: Duration = Duration::from_millis(300);

/// Starts processes with this executable.
#[derive(Debug, Clone)]
pub struct Launcher {
    weft: PathBuf,
    inherited: Vec<(OsString, OsString)>,
}

/// What to start.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The command; a first word `weft` is this executable.
    pub command: Vec<String>,
    /// What is set on top of the inherited environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub folder: PathBuf,
}

impl Launcher {
    /// `weft` is the executable; `inherited` what every process gets.
    pub fn new(weft: PathBuf, inherited: Vec<(OsString, OsString)>) -> Self {
        Self { weft, inherited }
    }

    /// The executable, also when its file was replaced by a newer build while it runs.
    pub fn weft(&self) -> PathBuf {
        if self.weft.exists() {
            self.weft.clone()
        } else {
            PathBuf::from("/proc/self/exe")
        }
    }

    /// What every process gets.
    pub fn inherited(&self) -> &[(OsString, OsString)] {
        &self.inherited
    }

    /// Starts a process whose lines go to `log`.
    ///
    /// # Errors
    /// When its program does not exist or it cannot be started.
    pub fn start(&self, launch: &Launch, log: &Log, stdout: Show, stderr: Show) -> Result<Running> {
        let (program, args) = launch
            .command
            .split_first()
            .context("the command is empty")?;
        let weft = self.weft();
        let program = if program == "weft" {
            weft.clone().into_os_string()
        } else {
            self.check_program(program, launch)?;
            OsString::from(program)
        };
        let mut command = Command::new(&weft);
        command
            .arg("__child")
            .arg(std::process::id().to_string())
            .arg(program)
            .args(args)
            .env_clear()
            .envs(self.inherited.iter().map(|(name, value)| (name, value)))
            .envs(&launch.env)
            .current_dir(&launch.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().context("starting the process")?;
        let pid = child.id().context("the process ended at once")?;
        log.begin();
        let mut readers = weft_runtime::task::Tasks::new();
        if let Some(stream) = child.stdout.take() {
            readers.spawn("child-stdout", log.clone().follow(stream, stdout));
        }
        if let Some(stream) = child.stderr.take() {
            readers.spawn("child-stderr", log.clone().follow(stream, stderr));
        }
        Ok(Running {
            pid,
            child,
            readers,
        })
    }

    /// Names a program that is not installed before a process is started for it.
    fn check_program(&self, program: &str, launch: &Launch) -> Result<()> {
        if program.contains('/') {
            let path = launch.folder.join(program);
            anyhow::ensure!(path.is_file(), "{} does not exist", path.display());
            return Ok(());
        }
        let own = launch.env.get("PATH").map(OsString::from);
        let inherited = || {
            let path = self.inherited.iter().find(|(name, _)| name == "PATH");
            path.map(|(_, value)| value.clone())
        };
        let path = own.or_else(inherited).unwrap_or_default();
        let found = std::env::split_paths(&path).any(|folder| executable(&folder.join(program)));
        anyhow::ensure!(
            found,
            "{program} is not installed (no such program in PATH)"
        );
        Ok(())
    }
}

fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A process that was started. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    child: Child,
    readers: weft_runtime::task::Tasks,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for its end, and for its last lines. Cancel safe: yes.
    pub async fn ended(&mut self) -> Ended {
        let status = self.child.wait().await.ok();
        let _ = tokio::time::timeout(LAST_LINES, self.readers.join_all()).await;
        Ended(status)
    }

    /// SIGTERM, then `grace`, then SIGKILL, to all that the process started as well.
    pub async fn stop(mut self, grace: Duration) {
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.child.wait())
            .await
            .is_err()
        {
            self.signal(Signal::KILL);
            // Uninterruptible in the kernel at worst; nothing else can be done about it then.
            let _ = tokio::time::timeout(grace, self.child.wait()).await;
        }
        // What ignored SIGTERM in the group is not waited for.
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // No such group any more: that is what was wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.signal(Signal::KILL);
        }
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(pub Option<ExitStatus>);

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::os::unix::process::ExitStatusExt;
        let Some(status) = self.0 else {
            return f.write_str("ended");
        };
        match (status.code(), status.signal()) {
            (Some(code), _) => write!(f, "exited with status {code}"),
            (None, Some(signal)) => write!(f, "was ended by signal {signal}"),
            (None, None) => f.write_str("ended"),
        }
    }
}

/// Whether a process said that somebody else has its port.
pub fn port_taken(lines: &[String]) -> bool {
    lines.iter().any(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("address already in use")
            || line.contains("address in use")
            || line.contains("eaddrinuse")
    })
}
