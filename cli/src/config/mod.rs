//! What the command line and the environment say, read once.

mod args;
mod env;

pub use args::{Args, Command, DemoArgs, ExecArgs, LoadArgs, PsArgs, ReportArgs, UpArgs};
pub use env::{Surroundings, read as surroundings};
