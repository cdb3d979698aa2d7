//! Builds every binary and test program in one cargo call, and sorts the test programs.
//!
//! One call, so that features are resolved once and nothing is compiled twice. The tier of a test
//! program is read from where it stands; its turn from its name.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cargo::{self, PROFILE};
use crate::config::Settings;

use super::tally::Tier;

/// The package in the folder `tests/`.
const E2E_PACKAGE: &str = "weft-e2e";

/// A test program as cargo built it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TestProgram {
    pub(super) turn: Turn,
    pub(super) tier: Tier,
    /// `package/target`, for people.
    pub(super) name: String,
    pub(super) executable: PathBuf,
    /// The folder of its package: the working directory that cargo gives a test.
    pub(super) package: PathBuf,
}

/// When a test program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// Beside nothing but its own threads.
    Any,
    /// Last, and its tests one at a time: it asserts times.
    Alone,
}

/// What the build made.
#[derive(Debug, Default)]
pub(super) struct Built {
    /// Test programs, in the order in which they run.
    pub(super) programs: BTreeSet<TestProgram>,
    /// Binaries that tests start.
    pub(super) binaries: Vec<PathBuf>,
}

/// One cargo call for everything; what compiled is returned even where something did not.
pub(super) fn build(settings: &Settings) -> Result<(Built, Result<()>)> {
    let mut command = cargo::cargo(
        settings,
        &[
            "build",
            "--quiet",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--keep-going",
            "--profile",
            PROFILE,
            "--message-format",
            "json-render-diagnostics",
        ],
    );
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo build")?;
    let stdout = child.stdout.take().context("cargo's output is piped")?;
    let mut built = Built::default();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading cargo's messages")?;
        match executable(&line) {
            Some(Executable::Test(program)) => {
                built.programs.insert(program);
            }
            Some(Executable::Binary(path)) => built.binaries.push(path),
            None => {}
        }
    }
    let status = child.wait().context("waiting for cargo build")?;
    let outcome = if status.success() {
        Ok(())
    } else {
        Err(anyhow::anyhow!("cargo build ended with {status}"))
    };
    Ok((built, outcome))
}

/// One of cargo's messages; of other kinds every field is missing.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    target: Option<Target>,
    profile: Option<Profile>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

/// An executable that cargo says it has made or found fresh.
#[derive(Debug, PartialEq, Eq)]
enum Executable {
    Test(TestProgram),
    Binary(PathBuf),
}

fn executable(line: &str) -> Option<Executable> {
    let message: Message = serde_json::from_str(line).ok()?;
    if message.reason != "compiler-artifact" {
        return None;
    }
    let (target, path) = (message.target?, message.executable?);
    if !message.profile?.test {
        let is_binary = target.kind.iter().any(|kind| kind == "bin");
        return is_binary.then_some(Executable::Binary(path));
    }
    let package = message.manifest_path?.parent()?.to_path_buf();
    let package_name = package_name(&package);
    Some(Executable::Test(TestProgram {
        turn: if target.name.starts_with("alone_") {
            Turn::Alone
        } else {
            Turn::Any
        },
        tier: tier(&package_name, &target),
        name: format!("{package_name}/{}", target.name),
        executable: path,
        package,
    }))
}

/// The package's name, from its folder: the end-to-end tests live in `tests/`, the rest keep their
/// folder's name, which is what people search for.
fn package_name(package: &Path) -> String {
    let folder = package.file_name().unwrap_or_default().to_string_lossy();
    if folder == "tests" {
        E2E_PACKAGE.to_owned()
    } else {
        folder.into_owned()
    }
}

/// A library's or binary's own tests are unit; a test target is direct, or end to end in the package
/// that has the real binaries.
fn tier(package_name: &str, target: &Target) -> Tier {
    if !target.kind.iter().any(|kind| kind == "test") {
        Tier::Unit
    } else if package_name == E2E_PACKAGE {
        Tier::E2e
    } else {
        Tier::Direct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_program(line: &str) -> Option<TestProgram> {
        match executable(line)? {
            Executable::Test(program) => Some(program),
            Executable::Binary(_) => None,
        }
    }

    fn artifact(folder: &str, name: &str, kind: &str, source: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/r/{folder}/Cargo.toml",
            "target":{{"name":"{name}","kind":["{kind}"],"src_path":"/r/{folder}/{source}"}},
            "profile":{{"test":true}},"executable":"/t/{name}"}}"#
        )
    }

    #[track_caller]
    fn check(folder: &str, name: &str, kind: &str, source: &str, tier: Tier, turn: Turn) {
        let program = test_program(&artifact(folder, name, kind, source)).expect("a test program");
        assert_eq!((program.tier, program.turn), (tier, turn));
    }

    #[test]
    fn tiers_come_from_place_and_turns_from_names() {
        check(
            "crates/model",
            "weft_model",
            "lib",
            "src/lib.rs",
            Tier::Unit,
            Turn::Any,
        );
        check(
            "proxy",
            "pair",
            "test",
            "tests/pair.rs",
            Tier::Direct,
            Turn::Any,
        );
        check(
            "tests",
            "e2e",
            "test",
            "direct/main.rs",
            Tier::E2e,
            Turn::Any,
        );
        check(
            "tests",
            "alone_timeouts",
            "test",
            "e2e/alone_timeouts.rs",
            Tier::E2e,
            Turn::Alone,
        );
    }

    #[test]
    fn what_is_no_test_program_is_passed_over() {
        let plain = artifact("cli", "weft", "bin", "src/main.rs")
            .replace("\"test\":true", "\"test\":false");
        assert_eq!(
            executable(&plain),
            Some(Executable::Binary("/t/weft".into()))
        );
        assert_eq!(executable("not json"), None);
        assert_eq!(
            test_program(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }

    #[test]
    fn programs_that_run_alone_run_last() {
        let alone =
            test_program(&artifact("tests", "alone_a", "test", "e2e/a.rs")).expect("a program");
        let other = test_program(&artifact("tests", "z", "test", "e2e/z.rs")).expect("a program");
        assert!(other < alone);
    }
}
