//! The one place that reads the environment.

use super::Strings;

/// The environment of this process.
#[derive(Debug, Clone, Copy)]
pub struct Environment;

impl Strings for Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the config/env.rs that the ban leaves the environment to"
    )]
    fn text(&self, key: &str) -> Option<String> {
        std::env::var(key).ok().filter(|value| !value.is_empty())
    }
}
