//! The tree as the rules see it: texts by path, and packages with their dependencies.
//!
//! Loading is the only part that touches the disk; a rule's test builds one from literals.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cargo;
use crate::config::Settings;

use super::source::Source;

/// One breach of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    /// About one line, counted from 1.
    pub(super) fn at(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }

    /// About a whole file.
    pub(super) fn of(path: &str, message: impl Into<String>) -> Self {
        Self::at(path, 1, message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// What a file is for; most rules hold only for what ships.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Part of the mesh: ships.
    Product,
    /// The demo shop, a user of the mesh with its own facts.
    Demo,
    /// Tests, test support, benchmarks and this task runner.
    Check,
}

/// A text file of the tree.
#[derive(Debug)]
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
    pub(super) kind: Kind,
    /// The Rust reading of it, for `.rs` files.
    pub(super) source: Option<Source>,
}

impl File {
    /// A file, classified and read.
    pub(super) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            kind: kind(path),
            source: path.ends_with(".rs").then(|| Source::read(text)),
        }
    }

    /// The folder of the package that the file belongs to: `proxy`, `crates/model`.
    pub(super) fn package(&self) -> &str {
        let depth = if self.path.starts_with("crates/") || self.path.starts_with("examples/") {
            2
        } else {
            1
        };
        match self.path.match_indices('/').nth(depth - 1) {
            Some((end, _)) => self.path.get(..end).unwrap_or(&self.path),
            None => &self.path,
        }
    }
}

/// Where a file stands decides what it is.
fn kind(path: &str) -> Kind {
    const CHECKS: &[&str] = &["crates/testkit/", "tests/", "bench/", "xtask/"];
    let name = path.rsplit('/').next().unwrap_or(path);
    if CHECKS.iter().any(|folder| path.starts_with(folder))
        || path
            .split('/')
            .any(|part| matches!(part, "tests" | "benches"))
        || matches!(name, "tests.rs" | "build.rs")
    {
        Kind::Check
    } else if path.starts_with("examples/") {
        Kind::Demo
    } else {
        Kind::Product
    }
}

/// A member of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) dependencies: Vec<Dependency>,
}

/// One line of a member's dependencies.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// Normal where absent, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

/// The whole tree.
#[derive(Debug, Default)]
pub(super) struct Repo {
    pub(super) files: Vec<File>,
    pub(super) packages: Vec<Package>,
}

impl Repo {
    /// Reads every text file that git knows or would add, and cargo's view of the members.
    pub(super) fn load(settings: &Settings) -> Result<Self> {
        // The tree may belong to another user, as it does in many CI systems.
        let words = [
            "-c",
            "safe.directory=*",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ];
        let mut list = cargo::program(Path::new("git"), &words);
        let listed =
            cargo::output(list.current_dir(&settings.root)).context("listing the tree's files")?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // A file that was deleted but not committed is listed and absent; a file that is no
            // text has no rule.
            if let Ok(text) = std::fs::read_to_string(settings.root.join(path)) {
                files.push(File::new(path, &text));
            }
        }
        let mut metadata = cargo::cargo(
            settings,
            &["metadata", "--no-deps", "--format-version", "1"],
        );
        let printed = cargo::output(&mut metadata)?;
        let metadata: Metadata =
            serde_json::from_str(&printed).context("reading cargo metadata")?;
        Ok(Self {
            files,
            packages: metadata.packages,
        })
    }

    /// The text of one file.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.text.as_str())
    }

    /// Every Rust file with its reading.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&File, &Source)> {
        self.files
            .iter()
            .filter_map(|file| file.source.as_ref().map(|source| (file, source)))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[cfg(test)]
impl Repo {
    /// A tree of texts alone.
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self {
            files: files
                .iter()
                .map(|(path, text)| File::new(path, text))
                .collect(),
            packages: Vec::new(),
        }
    }

    /// A tree of packages alone: names with their dependencies, `dev:` before a dev-dependency.
    pub(super) fn of_packages(packages: &[(&str, &[&str])]) -> Self {
        let dependency = |word: &&str| match word.strip_prefix("dev:") {
            Some(name) => Dependency {
                name: name.to_owned(),
                kind: Some("dev".to_owned()),
            },
            None => Dependency {
                name: (*word).to_owned(),
                kind: None,
            },
        };
        Self {
            files: Vec::new(),
            packages: packages
                .iter()
                .map(|(name, words)| Package {
                    name: (*name).to_owned(),
                    dependencies: words.iter().map(dependency).collect(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_place_says_what_it_is() {
        let check = |path: &str, want: Kind| assert_eq!(kind(path), want, "{path}");
        check("proxy/src/outbound.rs", Kind::Product);
        check("proxy/src/outbound/tests.rs", Kind::Check);
        check("proxy/tests/pair.rs", Kind::Check);
        check("crates/api/build.rs", Kind::Check);
        check("crates/testkit/src/lib.rs", Kind::Check);
        check("examples/shop/src/lib.rs", Kind::Demo);
        check("tests/direct/pair.rs", Kind::Check);
    }

    #[test]
    fn a_file_belongs_to_a_package() {
        assert_eq!(
            File::new("crates/model/src/lib.rs", "").package(),
            "crates/model"
        );
        assert_eq!(File::new("proxy/src/lib.rs", "").package(), "proxy");
        assert_eq!(File::new("README.md", "").package(), "README.md");
    }
}
