//! What is wrong with an object, said so that its author can mend it.

use crate::source::ObjectRef;
use serde::Serialize;
use std::fmt;

/// How far a problem reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The object is applied; its author should know this.
    Warning,
    /// The named field is valid but not enforced; the rest of the object is applied, and access is never widened.
    NotEnforced,
    /// The object is held: its previous accepted generation, else default behaviour, stays in force.
    Held,
    /// The object is invalid: its previous accepted generation, else default behaviour, stays in force.
    Invalid,
}

/// One thing wrong, with what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    /// The object.
    pub object: ObjectRef,
    /// Path of the field, for example `spec.http[0].route[1].destination.subset`; empty for the object as a whole.
    pub field: String,
    /// How far it reaches.
    pub severity: Severity,
    /// Stable name of the kind of problem in CamelCase, for example `SubsetNotFound`: the reason of the condition.
    pub code: &'static str,
    /// What is wrong, one sentence without a full stop.
    pub reason: String,
    /// What to do about it, one sentence without a full stop.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.object)?;
        if !self.field.is_empty() {
            write!(f, " {}", self.field)?;
        }
        write!(f, ": {}; {}", self.reason, self.remedy)
    }
}
