//! `weft __child PARENT CMD...`: becomes a command that the kernel kills when the parent ends.
//!
//! Place: the supervisor starts every process through it, so that a supervisor killed with SIGKILL
//! leaves nothing running. Invariants: the wish is registered before the command runs, and checked
//! against a parent that has ended meanwhile; the command is this very process (same pid, same
//! pipes), and the wish outlives the exec. The kernel ties it to the parent's *thread* that
//! started the child: the supervisor spawns from the thread that runs its runtime, which lives as
//! long as the process. What the command starts itself is its own affair.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

/// What a shell reports for a command that does not exist.
pub const EXIT_NOT_FOUND: u8 = 127;

/// Registers the wish and becomes the command; comes back only when that fails.
pub fn run(parent: u32, command: &[OsString]) -> ExitCode {
    let error = match become_command(parent, command) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    crate::output::error(&error);
    ExitCode::from(EXIT_NOT_FOUND)
}

fn become_command(parent: u32, command: &[OsString]) -> Result<std::convert::Infallible> {
    // Elsewhere no command comes this far: see the first lines of `run` in the crate's root.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("asking the kernel to be ended with the supervisor")?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get());
    if now.and_then(|pid| u32::try_from(pid).ok()) != Some(parent) {
        bail!("the supervisor (process {parent}) has ended");
    }
    let (program, args) = command.split_first().context("no command was given")?;
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("running `{}`", program.to_string_lossy()))
}
