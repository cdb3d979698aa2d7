//! Start, listeners, readiness, end of a sidecar.

use std::process::ExitCode;

/// Runs a sidecar configured by the environment until it is told to stop.
#[must_use]
pub fn main_from_env() -> ExitCode {
    ExitCode::FAILURE
}
