//! The variables that the gate sets for its tests.
//!
//! Place: read by [`mod@crate::tier`] and [`crate::process`], nothing else.

use std::path::PathBuf;

/// `WEFT_REQUIRE`: tiers in which nothing may be skipped, by commas; `all` for every one.
#[expect(
    clippy::disallowed_methods,
    reason = "how the gate speaks to its tests"
)]
pub(crate) fn require() -> String {
    std::env::var("WEFT_REQUIRE").unwrap_or_default()
}

/// `WEFT_BIN_DIR`: where the binaries under test are.
pub(crate) fn bin_dir() -> Option<PathBuf> {
    std::env::var_os("WEFT_BIN_DIR").map(PathBuf::from)
}

/// `PATH`.
pub(crate) fn path() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect()
}
