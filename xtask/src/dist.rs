//! `cargo xtask dist`: the binaries that ship, and their sizes.
//!
//! Fat LTO, one codegen unit, jemalloc in the proxy, linked statically so that an image needs
//! nothing but the file. Static linking needs an explicit `--target`, else cargo would apply it to
//! build scripts and procedural macros, which must be shared objects.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::cargo;
use crate::config::Settings;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is built, and with which features. The command line tool is built apart, so that the
/// features of the demo do not reach the mesh's own binaries.
const BUILDS: &[&[&str]] = &[
    &[
        "--package=weft-proxy",
        "--package=weft-controller",
        "--package=weft-init",
        "--features=weft-proxy/jemalloc",
    ],
    &["--package=weft-cli"],
];

const BINARIES: &[&str] = &["weft-proxy", "weft-controller", "weft-init", "weft"];

/// Builds and prints each path and size.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    build(settings)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and prints each path and size.
pub(crate) fn build(settings: &Settings) -> Result<()> {
    for packages in BUILDS {
        let mut command = cargo::cargo(
            settings,
            &[
                "build",
                "--locked",
                "--profile=dist",
                "--bins",
                "--target",
                TARGET,
            ],
        );
        command
            .args(*packages)
            .env("RUSTFLAGS", "-C target-feature=+crt-static");
        cargo::run(&mut command)?;
    }
    let folder = folder(settings);
    for name in BINARIES {
        let path = folder.join(name);
        let bytes = std::fs::metadata(&path)
            .with_context(|| format!("reading the size of {}", path.display()))?
            .len();
        println!("{:>6.1} MB  {}", bytes as f64 / 1e6, path.display());
    }
    Ok(())
}

/// Where the built binaries lie.
pub(crate) fn folder(settings: &Settings) -> std::path::PathBuf {
    settings.target.join(TARGET).join("dist")
}
