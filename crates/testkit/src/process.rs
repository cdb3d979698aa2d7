//! Children of a test: they die with it, and what they said is there when it fails.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::wait::eventually;

/// Lines of output kept of each child; the oldest go first.
const MAX_LINES: usize = 20_000;
/// Lines shown when a test fails.
const SHOWN_LINES: usize = 40;

/// A running child. Killed when dropped; its last lines are shown if the test is failing.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; its output is collected, its input is empty.
    pub fn spawn(name: impl Into<String>, command: &mut Command) -> Self {
        let name = name.into();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take(), &lines);
        collect(child.stderr.take(), &lines);
        Self {
            name,
            child,
            lines,
            ended: None,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has said so far, output and errors as they came.
    pub fn output(&self) -> String {
        self.lines.lock().join("\n")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended
    }

    /// Panics, with its output, if it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.has_ended() {
            panic!("{} has ended: {status}\n{}", self.name, self.output());
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // A child that has just ended has nothing to receive.
        let _ = kill_process(pid, signal);
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(deadline).await
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        // Ended already: there is nothing left to kill.
        let _ = self.child.kill();
        self.ended = self.child.wait().ok();
    }

    /// Waits for the end by itself.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        let process = Mutex::new(self);
        eventually(deadline, &what, || {
            std::future::ready(process.lock().has_ended().ok_or("it runs"))
        })
        .await
    }

    /// Waits until a line contains `text` and gives that line.
    pub async fn line(&mut self, deadline: Duration, text: &str) -> String {
        let what = format!("{text:?} from {}", self.name);
        let process = Mutex::new(self);
        eventually(deadline, &what, || {
            let mut process = process.lock();
            let found = process
                .lines
                .lock()
                .iter()
                .find(|line| line.contains(text))
                .cloned();
            if found.is_none() {
                process.assert_running();
            }
            std::future::ready(found.ok_or("it has not said so"))
        })
        .await
    }

    /// Waits until `/ready` of its admin port answers 200; what it waits for is in the panic.
    pub async fn ready(&mut self, admin: SocketAddr, deadline: Duration) {
        let what = format!("{} to be ready at {admin}", self.name);
        let process = Mutex::new(self);
        eventually(deadline, &what, || {
            process.lock().assert_running();
            ready(admin)
        })
        .await;
    }
}

/// Asks `/ready` once; the answer is the error.
async fn ready(admin: SocketAddr) -> Result<(), String> {
    let reply = async { anyhow::Ok(Client::h1(admin).await?.get("/ready").await?) }.await;
    match reply {
        Ok(reply) if reply.status == 200 => Ok(()),
        Ok(reply) => Err(reply.text()),
        Err(error) => Err(error.to_string()),
    }
}

/// Waits until `/ready` of an admin port answers 200.
pub async fn wait_ready(admin: SocketAddr, deadline: Duration) {
    eventually(deadline, &format!("{admin} to be ready"), || ready(admin)).await;
}

/// A loopback port that was free a moment ago. Only for programs that cannot be told port 0.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(crate::ANY_PORT).expect("a loopback port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

fn collect(pipe: Option<impl Read + Send + 'static>, lines: &Arc<Mutex<Vec<String>>>) {
    let Some(pipe) = pipe else { return };
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut lines = lines.lock();
            if lines.len() == MAX_LINES {
                lines.remove(0);
            }
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let lines = self.lines.lock();
            let skipped = lines.len().saturating_sub(SHOWN_LINES);
            let mut text = format!("--- last lines of {}\n", self.name);
            for line in lines.iter().skip(skipped) {
                let _ = writeln!(text, "{line}");
            }
            println!("{text}---");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Process::spawn("a shell", Command::new("sh").args(["-c", script]))
    }

    #[tokio::test]
    async fn output_and_end_are_seen() {
        let mut process = shell("echo hello; echo there >&2; read x; exit 3");
        let status = process.wait(SOON).await;
        assert_eq!(status.code(), Some(3), "its input is empty");
        let mut process = shell("echo one; echo two >&2; exec tail -f /dev/null");
        assert_eq!(process.line(SOON, "tw").await, "two");
        process.assert_running();
        assert!(!process.terminate(SOON).await.success());
    }

    #[tokio::test]
    async fn a_child_dies_with_its_owner() {
        let process = shell("exec tail -f /dev/null");
        let pid = Pid::from_child(&process.child);
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "has ended")]
    async fn an_early_end_is_not_waited_for() {
        let _ = shell("exit 1").line(SOON, "never").await;
    }
}
