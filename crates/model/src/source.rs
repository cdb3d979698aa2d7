//! Which object of the user decided something. It travels with every resource, so that a log line, an error reply and
//! `weft explain` can name it.

use serde::Serialize;
use std::fmt;

/// A policy object's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct ObjectRef {
    /// Kind, for example `VirtualService`.
    pub kind: String,
    /// Namespace; empty for a cluster-wide kind.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectRef {
    /// Names an object.
    pub fn new(
        kind: impl Into<String>,
        namespace: impl Into<String>,
        name: impl Into<String>,
    ) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// An object at one generation, and the rule of it that decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct SourceRef {
    /// The object.
    pub object: ObjectRef,
    /// The object's generation (Kubernetes `metadata.generation`; on a laptop, counted by edits).
    pub generation: i64,
    /// Index of the deciding rule in the object's list, where there is one.
    pub rule: Option<u32>,
}

impl SourceRef {
    /// The object as a whole.
    #[must_use]
    pub fn whole(object: ObjectRef, generation: i64) -> Self {
        Self {
            object,
            generation,
            rule: None,
        }
    }

    /// The same object, with the rule that decided.
    #[must_use]
    pub fn at_rule(&self, rule: u32) -> Self {
        Self {
            rule: Some(rule),
            ..self.clone()
        }
    }
}

impl fmt::Display for SourceRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        match self.rule {
            Some(rule) => write!(f, "[{rule}]"),
            None => Ok(()),
        }
    }
}
