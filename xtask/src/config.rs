//! Where things are: the tree, the cache folder, and what the environment asks for.
//!
//! Read once at start; nothing reads the environment later.

mod env;

use std::path::PathBuf;

use anyhow::{Context, Result};

/// What a run of the task runner needs to know about its surroundings.
pub(crate) struct Settings {
    /// The root of the tree that is checked.
    pub(crate) root: PathBuf,
    /// Where tools and the Python environment are kept between runs and clones.
    pub(crate) cache: PathBuf,
    /// Cargo's target folder, shared by clones unless the caller names one.
    pub(crate) target: PathBuf,
    /// Tiers in which a test that cannot run is a failure and not a skip.
    pub(crate) require: Require,
    /// Runs in CI, where nothing may be skipped.
    pub(crate) ci: bool,
    /// The folders that programs are searched in.
    pub(crate) path: Vec<PathBuf>,
    /// Runs as root, so that Debian packages can be installed.
    pub(crate) root_user: bool,
}

/// The tiers that must not skip a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Require {
    /// Every tier there is.
    All,
    /// The tiers named, separated by commas in `WEFT_REQUIRE`.
    Only(Vec<String>),
}

impl Settings {
    /// Reads the environment and finds the tree.
    pub(crate) fn load() -> Result<Self> {
        let raw = env::read();
        let manifest = raw
            .manifest_dir
            .unwrap_or_else(|| PathBuf::from(std::env!("CARGO_MANIFEST_DIR")));
        let root = manifest
            .parent()
            .context("xtask lies in the root of the tree")?
            .to_path_buf();
        let cache = match (raw.cache, raw.home) {
            (Some(cache), _) => cache,
            (None, Some(home)) => home.join(".cache/weft"),
            (None, None) => anyhow::bail!("neither WEFT_CACHE nor HOME is set"),
        };
        let target = raw.target_dir.unwrap_or_else(|| cache.join("target"));
        let mut path: Vec<PathBuf> = raw
            .path
            .map(|path| std::env::split_paths(&path).collect())
            .unwrap_or_default();
        // Debian keeps servers where a plain user's PATH does not look.
        path.push(PathBuf::from("/usr/sbin"));
        let require = match raw.require {
            Some(list) => Require::parse(&list),
            None if raw.ci => Require::All,
            None => Require::Only(Vec::new()),
        };
        Ok(Self {
            root,
            cache,
            target,
            require,
            ci: raw.ci,
            path,
            root_user: is_root(),
        })
    }

    /// The full path of a program, where there is one.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|folder| folder.join(name))
            .find(|candidate| candidate.is_file())
    }
}

impl Require {
    fn parse(list: &str) -> Self {
        let tiers: Vec<String> = list
            .split(',')
            .map(str::trim)
            .filter(|tier| !tier.is_empty())
            .map(str::to_owned)
            .collect();
        if tiers.iter().any(|tier| tier == "all") {
            Self::All
        } else {
            Self::Only(tiers)
        }
    }

    /// Whether a test of this tier may not skip.
    pub(crate) fn names(&self, tier: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(tiers) => tiers.iter().any(|named| named == tier),
        }
    }
}

/// The owner of `/proc/self` is the effective user: no call into libc is needed to ask.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn require_reads_a_list_and_all() {
        let two = Require::parse("unit, e2e,");
        assert_eq!(two, Require::Only(vec!["unit".into(), "e2e".into()]));
        assert!(two.names("e2e"));
        assert!(!two.names("direct"));
        assert!(Require::parse("all").names("direct"));
        assert!(!Require::parse("").names("unit"));
    }
}
