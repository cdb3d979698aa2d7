//! `cargo xtask gen`: writes what the package `xtask-gen` prints; `check` compares instead.
//!
//! Generated files are committed, so that a reader and a `kubectl apply` need no build; a stale
//! one fails the gate.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, PROFILE};
use crate::config::Settings;

/// Folders that hold generated files and nothing else.
const FOLDERS: &[&str] = &["crds/yaml"];

/// Writes every generated file and removes what is no longer generated.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    let wanted = generated(settings)?;
    let found = committed(&settings.root, &wanted)?;
    for path in found.keys().filter(|path| !wanted.contains_key(*path)) {
        std::fs::remove_file(settings.root.join(path))
            .with_context(|| format!("removing {path}"))?;
        println!("removed {path}");
    }
    for (path, text) in &wanted {
        if found.get(path) != Some(text) {
            let place = settings.root.join(path);
            if let Some(folder) = place.parent() {
                std::fs::create_dir_all(folder)
                    .with_context(|| format!("making the folder of {path}"))?;
            }
            std::fs::write(&place, text).with_context(|| format!("writing {path}"))?;
            println!("wrote {path}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Fails, naming each file that `cargo xtask gen` would change.
pub(crate) fn check(settings: &Settings) -> Result<()> {
    let wanted = generated(settings)?;
    let stale = stale(&wanted, &committed(&settings.root, &wanted)?);
    for finding in &stale {
        println!("{finding}");
    }
    ensure!(
        stale.is_empty(),
        "{} stale; run `cargo xtask gen`",
        stale.len()
    );
    Ok(())
}

/// What differs between the files as generated and as committed.
fn stale(wanted: &BTreeMap<String, String>, found: &BTreeMap<String, String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in wanted {
        match found.get(path) {
            None => findings.push(format!("{path}: is generated but not committed")),
            Some(old) if old != text => findings.push(format!("{path}: is stale")),
            Some(_) => {}
        }
    }
    for path in found.keys().filter(|path| !wanted.contains_key(*path)) {
        findings.push(format!("{path}: is committed but no longer generated"));
    }
    findings
}

fn generated(settings: &Settings) -> Result<BTreeMap<String, String>> {
    let mut command = cargo::cargo(
        settings,
        &[
            "run",
            "--quiet",
            "--profile",
            PROFILE,
            "--package",
            "xtask-gen",
        ],
    );
    let printed = cargo::output(&mut command)?;
    serde_json::from_str(&printed).context("reading what xtask-gen printed")
}

/// What is in the tree: everything in the folders of generated files, and what is generated
/// elsewhere.
fn committed(root: &Path, wanted: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for path in wanted.keys() {
        if let Ok(text) = std::fs::read_to_string(root.join(path)) {
            files.insert(path.clone(), text);
        }
    }
    for folder in FOLDERS {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {folder}"))?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            let text =
                std::fs::read_to_string(entry.path()).with_context(|| format!("reading {path}"))?;
            files.insert(path, text);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn stale_missing_and_left_over_files_are_found() {
        let wanted = files(&[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(stale(&wanted, &wanted), Vec::<String>::new());
        let found = files(&[("a", "1"), ("b", "old"), ("d", "4")]);
        assert_eq!(
            stale(&wanted, &found),
            [
                "b: is stale",
                "c: is generated but not committed",
                "d: is committed but no longer generated"
            ]
        );
    }
}
