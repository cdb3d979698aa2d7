//! `weft`: the mesh on this machine, its demo, and the look inside.
//!
//! | module | its part |
//! |---|---|
//! | [`config`] | the command line and the environment, read once |
//! | [`up`] | the supervisor: a small kubelet that runs a folder of manifests as a mesh |
//! | [`front`] | what `up` and `demo` show and when they end |
//! | [`measure`] | the edges of the mesh, from what the sidecars count |
//! | [`demo`] | the shop with its load generator and a live table |
//! | [`runs`], [`ps`], [`exec`] | the running meshes of this user, listed and entered |
//! | [`child`], [`http`], [`output`] | a process that ends with its parent; a small client; all printing |
//!
//! One binary is the whole mesh: it runs itself again as controller, sidecar and shop service. What
//! those decide is theirs; this crate starts them and reads what they say.

pub mod child;
pub mod config;
#[cfg(feature = "demo")]
pub mod demo;
pub mod exec;
pub mod front;
pub mod http;
pub mod measure;
pub mod output;
pub mod ps;
pub mod runs;
pub mod up;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use config::{Args, Command};

/// Runs one command line, the name of the program first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    if !cfg!(target_os = "linux") {
        output::error(&anyhow::anyhow!(
            "weft runs on Linux only for now: it needs /proc and processes that end with their parent"
        ));
        return ExitCode::FAILURE;
    }
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        // Also the way out of --help and --version; the codes are clap's.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    match dispatch(args.command) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Controller => Ok(weft_controller::main_from_env()),
        Command::Sidecar => Ok(weft_proxy::main_from_env()),
        Command::Child { parent, command } => Ok(child::run(parent, &command)),
        #[cfg(feature = "demo")]
        Command::Shop { args } => {
            let name = std::iter::once(OsString::from("weft shop"));
            Ok(weft_shop::run_from_args(name.chain(args)))
        }
        #[cfg(feature = "demo")]
        Command::Load(args) => runtime()?.block_on(demo::load::run(args, &config::surroundings())),
        #[cfg(feature = "demo")]
        Command::Demo(args) => runtime()?.block_on(demo::run(args)),
        Command::Up(args) => runtime()?.block_on(front::up(args)),
        Command::Ps(args) => ps::run(&args),
        Command::Exec(args) => exec::run(&args),
    }
}

/// One thread: processes end with the thread that started them, and this one lives as long as the
/// command.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")
}
