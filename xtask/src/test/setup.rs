//! Brings what the tests need onto a new machine, or says what is missing and how to get it.
//!
//! Debian packages as root, cargo-deny and a Python environment in the cache folder. Nothing here
//! runs twice: tools are kept by version, the Python environment by the hash of its requirements.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cargo;
use crate::config::Settings;
use crate::stage;

use super::Length;
use super::tally::Tally;

/// The version of cargo-deny that the gate runs.
const DENY_VERSION: &str = "0.20.2";

/// A program that tests use, and the Debian package that brings it.
struct Program {
    name: &'static str,
    package: &'static str,
    purpose: &'static str,
    needed: Length,
}

const PROGRAMS: &[Program] = &[
    Program {
        name: "curl",
        package: "curl",
        purpose: "HTTP/1.1 and HTTP/2 clients",
        needed: Length::Short,
    },
    Program {
        name: "h2load",
        package: "nghttp2-client",
        purpose: "HTTP/2 load",
        needed: Length::Short,
    },
    Program {
        name: "python3",
        package: "python3-venv",
        purpose: "gRPC and WebSocket peers, and a shop service",
        needed: Length::Short,
    },
    Program {
        name: "nginx",
        package: "nginx-light",
        purpose: "the plain hop that costs are compared with",
        needed: Length::Long,
    },
];

/// What there is now.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// cargo-deny.
    pub(super) deny: Option<PathBuf>,
    /// The interpreter of the Python environment.
    pub(super) python: Option<PathBuf>,
}

/// Installs what is missing; what cannot be had is noted in the tally.
pub(super) fn run(settings: &Settings, length: Length, tally: &mut Tally) -> Result<Tools> {
    std::fs::create_dir_all(&settings.cache)
        .with_context(|| format!("making the cache folder {}", settings.cache.display()))?;
    let mut tools = Tools::default();
    stage::run("set-up", || {
        packages(settings, length, tally);
        match deny(settings) {
            Ok(path) => tools.deny = Some(path),
            Err(error) => println!("cargo-deny: {error:#}"),
        }
        match python(settings) {
            Ok(path) => tools.python = Some(path),
            Err(error) => tally.missing("Python environment", &format!("{error:#}")),
        }
        Ok(())
    });
    Ok(tools)
}

fn packages(settings: &Settings, length: Length, tally: &mut Tally) {
    let missing = || {
        PROGRAMS
            .iter()
            .filter(|program| program.needed == Length::Short || length == Length::Long)
            .filter(|program| settings.program(program.name).is_none())
    };
    let wanted: Vec<&str> = missing().map(|program| program.package).collect();
    if wanted.is_empty() {
        return;
    }
    match (settings.root_user, settings.program("apt-get")) {
        (true, Some(apt)) => {
            println!("installing {}", wanted.join(" "));
            // An old list of packages is better than none: the install decides.
            let _ = install(&apt, &["update", "-qq"], &[]);
            let words = ["install", "-y", "-qq", "--no-install-recommends"];
            if let Err(error) = install(&apt, &words, &wanted) {
                println!("{error:#}");
            }
        }
        _ => println!(
            "to install what is missing: sudo apt-get install {}",
            wanted.join(" ")
        ),
    }
    for program in missing() {
        tally.missing(
            program.name,
            &format!(
                "needed for {}; Debian package {}",
                program.purpose, program.package
            ),
        );
    }
}

fn install(apt: &Path, words: &[&str], packages: &[&str]) -> Result<()> {
    let mut command = cargo::program(apt, words);
    // RUNLEVEL=1 keeps Debian's scripts from starting a server that was only wanted as a program.
    command
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("RUNLEVEL", "1");
    command.stdout(std::process::Stdio::null());
    cargo::run(&mut command)
}

/// cargo-deny of the pinned version, built once without optimisation: it runs for a second.
fn deny(settings: &Settings) -> Result<PathBuf> {
    let folder = settings
        .cache
        .join("tools")
        .join(format!("cargo-deny-{DENY_VERSION}"));
    let path = folder.join("bin/cargo-deny");
    if !path.is_file() {
        println!("building cargo-deny {DENY_VERSION}, once");
        let build = folder.join("build");
        let mut command = cargo::cargo(
            settings,
            &["install", "--quiet", "--locked", "--debug", "--root"],
        );
        command
            .arg(&folder)
            .arg(format!("cargo-deny@{DENY_VERSION}"))
            .env("CARGO_TARGET_DIR", &build);
        cargo::run(&mut command)?;
        std::fs::remove_dir_all(&build).with_context(|| format!("removing {}", build.display()))?;
    }
    Ok(path)
}

/// A virtual environment with the pinned requirements.
fn python(settings: &Settings) -> Result<PathBuf> {
    let list = settings.root.join("xtask/requirements.txt");
    let text = std::fs::read(&list).with_context(|| format!("reading {}", list.display()))?;
    let system = settings.program("python3").context("no python3 in PATH")?;
    let version = cargo::output(&mut cargo::program(&system, &["-VV"]))?;
    let mut hash = Sha256::new();
    hash.update(&text);
    hash.update(version.as_bytes());
    let key: String = hex::encode(hash.finalize()).chars().take(12).collect();
    let folder = settings.cache.join("venv").join(key);
    let python = folder.join("bin/python");
    let done = folder.join("complete");
    if !done.is_file() {
        println!("making a Python environment, once");
        // A half-made one of an interrupted run must not be taken for whole.
        let _ = std::fs::remove_dir_all(&folder);
        cargo::run(cargo::program(&system, &["-m", "venv"]).arg(&folder))?;
        let words = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "-r",
        ];
        cargo::run(cargo::program(&python, &words).arg(&list))?;
        std::fs::write(&done, b"").with_context(|| format!("writing {}", done.display()))?;
    }
    Ok(python)
}
