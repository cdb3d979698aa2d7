//! Runs one test program under a limit and reads what it reports.
//!
//! A program that hangs is ended; one that dies without a report has failed; one that leaves a
//! process behind, which shows by its output staying open, has failed too.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cargo;
use crate::stage::{self, Clock};

use super::libtest::{Echo, Outcome, Reader};

/// How long a program's output may stay open after its end; a child left behind holds it.
const AFTERLIFE: Duration = Duration::from_secs(10);
/// How often a silent program is asked whether it still runs.
const TICK: Duration = Duration::from_millis(200);

/// The outcome, and what went wrong beside failing tests; `echo` gets the lines that matter.
pub(super) fn observe(
    command: &mut Command,
    limit: Duration,
    mut echo: impl FnMut(&str),
) -> Result<(Outcome, Option<String>)> {
    let clock = Clock::start();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting `{}`", cargo::line(command)))?;
    let lines = lines(&mut child)?;
    let mut reader = Reader::default();
    let mut fault = None;
    let mut ended: Option<Clock> = None;
    loop {
        match lines.recv_timeout(TICK) {
            Ok(line) => {
                if reader.line(&line) == Echo::Print {
                    echo(&line);
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                if ended.is_none() && child.try_wait().context("asking for its status")?.is_some() {
                    ended = Some(Clock::start());
                }
            }
        }
        if ended.is_some_and(|since| since.elapsed() >= AFTERLIFE) {
            fault = Some("left a process behind that holds its output open".to_owned());
            break;
        }
        if ended.is_none() && clock.elapsed() >= limit {
            fault = Some(format!("did not end within {}", stage::seconds(limit)));
            // It may have ended just now, which is no error here.
            let _ = child.kill();
            break;
        }
    }
    let status = child.wait().context("waiting for its end")?;
    let (outcome, reported) = reader.end();
    if fault.is_none() && !status.success() && (!reported || outcome.failed == 0) {
        fault = Some(format!(
            "ended with {status} without reporting a failed test"
        ));
    }
    Ok((outcome, fault))
}

/// Both outputs of a child as one stream of lines.
fn lines(child: &mut Child) -> Result<mpsc::Receiver<String>> {
    let (send, receive) = mpsc::sync_channel(1024);
    let stdout: Box<dyn Read + Send> =
        Box::new(child.stdout.take().context("its output is piped")?);
    let stderr: Box<dyn Read + Send> =
        Box::new(child.stderr.take().context("its errors are piped")?);
    for stream in [stdout, stderr] {
        let send = send.clone();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            // A test may print anything; bytes that are no text are shown as such.
            while stream
                .read_until(b'\n', &mut line)
                .is_ok_and(|read| read > 0)
            {
                let text = String::from_utf8_lossy(&line)
                    .trim_end_matches('\n')
                    .to_owned();
                line.clear();
                if send.send(text).is_err() {
                    break;
                }
            }
        });
    }
    Ok(receive)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str) -> Command {
        cargo::program(Path::new("sh"), &["-c", script])
    }

    #[test]
    fn a_program_that_hangs_is_ended_and_fails() {
        let (_, fault) = observe(
            &mut shell("exec sleep 600"),
            Duration::from_millis(100),
            |_| {},
        )
        .expect("it starts");
        assert!(fault.is_some_and(|fault| fault.contains("did not end")));
    }

    #[test]
    fn a_program_that_dies_without_a_report_fails() {
        let limit = Duration::from_secs(60);
        let (_, fault) = observe(&mut shell("exit 3"), limit, |_| {}).expect("it starts");
        assert!(fault.is_some());
        let ok = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 filtered out'";
        let (outcome, fault) = observe(&mut shell(ok), limit, |_| {}).expect("it starts");
        assert_eq!((outcome.passed, fault), (2, None));
    }
}
