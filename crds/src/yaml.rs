//! The CRDs as files: what `crds/yaml/` holds.

use crate::kind::Kind;

/// What every file begins with.
const HEADER: &str =
    "# Generated from the Rust types in crds/src by `cargo xtask gen`; do not edit.\n";

/// A definition could not be written.
#[derive(Debug)]
pub struct WriteError {
    /// Of which kind.
    pub kind: Kind,
    /// Why.
    pub source: serde_saphyr::ser::Error,
}

impl std::fmt::Display for WriteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "writing the CRD of {}", self.kind)
    }
}

impl std::error::Error for WriteError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Every file: its name and its text.
///
/// # Errors
/// When a definition cannot be written as YAML.
pub fn files() -> Result<Vec<(String, String)>, WriteError> {
    Kind::ALL
        .into_iter()
        .map(|kind| {
            let text = serde_saphyr::to_string(&kind.definition())
                .map_err(|source| WriteError { kind, source })?;
            Ok((
                format!("{}.{}.yaml", kind.name().to_lowercase(), kind.group()),
                format!("{HEADER}{text}"),
            ))
        })
        .collect()
}
