//! (stub)

use std::process::ExitCode;
/// stub
pub async fn run(_args: crate::config::DemoArgs) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
