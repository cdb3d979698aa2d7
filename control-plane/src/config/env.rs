//! The only code of this binary that reads the environment.

use super::Config;
use weft_runtime::config::{ConfigErrors, Strings};

struct Environment;

impl Strings for Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn string(&self, key: &str) -> Option<String> {
        std::env::var(key).ok()
    }
}

/// Reads the settings from the environment.
///
/// # Errors
/// With every setting that is missing or wrong.
pub fn from_env() -> Result<Config, ConfigErrors> {
    Config::read(&Environment)
}
