//! `weft exec WORKLOAD -- CMD...`: a command with the environment of a workload, as if inside its
//! pod: same proxy, same variables, same folder. It becomes the command, so its exit code, its
//! terminal and its signals are the command's own.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::config::{ExecArgs, surroundings};
use crate::runs;
use crate::up::variables::hidden;

/// Becomes the command; comes back only when that fails.
///
/// # Errors
/// When the workload or the command does not exist.
pub fn run(args: &ExecArgs) -> Result<ExitCode> {
    let surroundings = surroundings();
    let run = runs::the_one(&surroundings.run_bases, args.run.as_deref())?;
    let instance = runs::instance(&run, &args.workload)?;
    ensure!(
        !instance.env.is_empty(),
        "{} has not started yet: {}",
        instance.key,
        instance.reason
    );
    let (program, rest) = args.command.split_first().context("no command was given")?;
    let inherited = surroundings
        .inherited
        .iter()
        .filter(|(name, _)| !hidden(&name.to_string_lossy()));
    let error = Command::new(program)
        .args(rest)
        .env_clear()
        .envs(inherited.map(|(name, value)| (name, value)))
        .envs(&instance.env)
        .exec();
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    crate::output::error(&anyhow::Error::new(error).context(format!(
        "running `{}` as {}",
        program.to_string_lossy(),
        instance.key
    )));
    // What a shell says: 127 when there is no such command, 126 when it cannot be run.
    let code = crate::child::EXIT_NOT_FOUND - u8::from(!missing);
    Ok(ExitCode::from(code))
}
