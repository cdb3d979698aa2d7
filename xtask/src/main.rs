//! `cargo xtask`: the menu of everything one does to this tree besides writing it.
//!
//! The logic of the gate lives here, in Rust, and not in scripts or in a CI system's language:
//! the README's test command, `.ci/run` and a contributor's machine run the same code. This
//! package links nothing of the product (see `gen/` for the part that does), so that it compiles
//! in seconds in a fresh clone.
#![expect(
    clippy::print_stdout,
    reason = "a task runner talks on its standard output"
)]

mod cargo;
mod check;
mod config;
mod dist;
mod generate;
mod stage;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;

use crate::config::Settings;

const HELP: &str = "\
cargo xtask COMMAND

  check                     fmt, clippy and tidy: about a minute on a warm machine
  tidy                      what the compiler cannot check: crate edges, headers, one home per
                            fact, documented metrics and error codes, fresh generated files
  gen                       write the generated files (crds/yaml, docs/policy.md)
  test [--long] [FILTER]    everything, as the README and CI run it; the last line is
                            `N passed, N failed`. --long runs the full figures (about an hour).
                            With FILTER only the tests whose name contains it, and no static check
  bench [FILTER]            nanoseconds and allocations of each decision of a request
  dist                      the binaries that ship: fat LTO, jemalloc, static; prints their sizes

Built files and tools go to $WEFT_CACHE (default ~/.cache/weft), so that a second clone starts
warm. CARGO_TARGET_DIR, where set, is respected.
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((command, rest)) = words.split_first() else {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    };
    let settings = Settings::load()?;
    match (*command, rest) {
        ("check", []) => check::run(&settings),
        ("tidy", []) => tidy::run(&settings),
        ("gen", []) => generate::run(&settings),
        ("test", rest) => match test::Options::parse(rest) {
            Some(options) => test::run(&settings, &options),
            None => Ok(usage()),
        },
        ("bench", []) => bench(&settings, None),
        ("bench", [filter]) => bench(&settings, Some(filter)),
        ("dist", []) => dist::run(&settings),
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => Ok(usage()),
    }
}

/// Runs the micro benchmarks; figures are for people to compare and nothing is asserted.
fn bench(settings: &Settings, filter: Option<&str>) -> Result<ExitCode> {
    let mut command = cargo::cargo(settings, &["bench", "--quiet", "--package", "weft-bench"]);
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    cargo::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a command line that could not be understood is that of sysexits' EX_USAGE.
fn usage() -> ExitCode {
    print!("{HELP}");
    ExitCode::from(64)
}
