//! The one place of the task runner that reads the environment: raw strings, no meaning.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the file that may read the environment"
)]

use std::ffi::OsString;
use std::path::PathBuf;

/// What the environment says, unparsed.
pub(super) struct Raw {
    /// Set by `cargo run`: the folder of this package in the tree that is being worked on.
    pub(super) manifest_dir: Option<PathBuf>,
    /// `WEFT_CACHE`.
    pub(super) cache: Option<PathBuf>,
    /// `CARGO_TARGET_DIR`.
    pub(super) target_dir: Option<PathBuf>,
    /// `HOME`.
    pub(super) home: Option<PathBuf>,
    /// `PATH`.
    pub(super) path: Option<OsString>,
    /// `WEFT_REQUIRE`: tiers in which nothing may be skipped.
    pub(super) require: Option<String>,
    /// `CI` is set to anything but nothing, `0` or `false`, as CI systems do.
    pub(super) ci: bool,
}

/// Reads everything, once.
pub(super) fn read() -> Raw {
    let path = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    Raw {
        manifest_dir: path("CARGO_MANIFEST_DIR"),
        cache: path("WEFT_CACHE"),
        target_dir: path("CARGO_TARGET_DIR"),
        home: path("HOME"),
        path: std::env::var_os("PATH"),
        require: std::env::var("WEFT_REQUIRE").ok(),
        ci: std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false")),
    }
}
