//! A test that cannot run says so and why, and fails where it must be able to run.
//!
//! Place: the first line of a test that needs more than Rust. `SKIP: reason` on stdout is what the
//! gate looks for; `WEFT_REQUIRE` names the tiers in which a skip is a failure (in CI: all).

use std::path::PathBuf;

/// Ends the test, with its reason, unless what it needs is there.
///
/// ```no_run
/// weft_testkit::tier!("direct", weft_testkit::tier::program("openssl"));
/// ```
#[macro_export]
macro_rules! tier {
    ($tier:literal $(, $need:expr)* $(,)?) => {
        $(
            if let Err(reason) = $need {
                $crate::tier::skip($tier, &reason);
                return Default::default();
            }
        )*
    };
}

/// Says that a test of `tier` is skipped for `reason`; panics where that is not allowed.
pub fn skip(tier: &str, reason: &str) {
    let require = crate::config::env::require();
    assert!(
        !requires(&require, tier),
        "tier {tier} is required, but {reason}"
    );
    println!("SKIP: {reason}");
}

fn requires(require: &str, tier: &str) -> bool {
    require
        .split(',')
        .map(str::trim)
        .any(|name| name == tier || name == "all")
}

/// Finds a program on the path.
///
/// # Errors
/// The reason to skip: it is not there.
pub fn program(name: &str) -> Result<PathBuf, String> {
    crate::config::env::path()
        .into_iter()
        .map(|dir| dir.join(name))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("{name} is not installed"))
}

/// Finds a binary of the project that the gate has built.
///
/// # Errors
/// The reason to skip: it is not there.
pub fn binary(name: &str) -> Result<PathBuf, String> {
    let dir = crate::config::env::bin_dir()
        .ok_or("WEFT_BIN_DIR is not set: run the tests with `cargo xtask test`")?;
    let path = dir.join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{} is not built", path.display()))
    }
}

/// Whether this process may do what only root may.
///
/// # Errors
/// The reason to skip: it may not.
pub fn root() -> Result<(), String> {
    if rustix::process::geteuid().is_root() {
        Ok(())
    } else {
        Err("not root".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_tiers_are_named() {
        let cases = [
            ("", "direct", false),
            ("all", "direct", true),
            ("netns, direct", "direct", true),
            ("netns", "direct", false),
        ];
        for (require, tier, expected) in cases {
            assert_eq!(requires(require, tier), expected, "{require:?} {tier}");
        }
    }

    #[test]
    fn programs_are_found_or_named() {
        assert!(program("sh").unwrap().is_file());
        assert_eq!(
            program("no-such-program"),
            Err("no-such-program is not installed".to_owned())
        );
    }
}
