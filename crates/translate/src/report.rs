//! Collects the problems of one object while it is translated.

use weft_model::{
    policy::Translated,
    problem::{Problem, Severity},
    source::ObjectRef,
};

/// The problems found so far.
#[derive(Debug)]
pub(crate) struct Report {
    object: ObjectRef,
    problems: Vec<Problem>,
}

/// What is wrong with a field, and what to do: everything of a problem but where and how far.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Stable name in CamelCase.
    pub(crate) code: &'static str,
    /// One sentence without a full stop.
    pub(crate) reason: String,
    /// One sentence without a full stop.
    pub(crate) remedy: String,
}

impl Fault {
    /// Names a fault.
    pub(crate) fn new(
        code: &'static str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            code,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl Report {
    /// Nothing found yet.
    pub(crate) fn new(object: &ObjectRef) -> Self {
        Self {
            object: object.clone(),
            problems: Vec::new(),
        }
    }

    /// Adds a problem.
    pub(crate) fn add(&mut self, severity: Severity, field: impl Into<String>, fault: Fault) {
        self.problems.push(Problem {
            object: self.object.clone(),
            field: field.into(),
            severity,
            code: fault.code,
            reason: fault.reason,
            remedy: fault.remedy,
        });
    }

    /// The object cannot be applied as it is.
    pub(crate) fn invalid(&mut self, field: impl Into<String>, fault: Fault) {
        self.add(Severity::Invalid, field, fault);
    }

    /// The author should know.
    pub(crate) fn warn(&mut self, field: impl Into<String>, fault: Fault) {
        self.add(Severity::Warning, field, fault);
    }

    /// A part of the object has no effect, or less than it says.
    pub(crate) fn not_enforced(&mut self, field: impl Into<String>, fault: Fault) {
        self.add(Severity::NotEnforced, field, fault);
    }

    /// Adds problems found elsewhere.
    pub(crate) fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// The value of `result`, or nothing and its error as a problem.
    pub(crate) fn take<T>(&mut self, field: &str, result: Result<T, Fault>) -> Option<T> {
        result.map_err(|fault| self.invalid(field, fault)).ok()
    }

    /// The outcome: the value, unless a problem forbids it.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Translated<T> {
        // Stable, so that several problems of one field stay in the order they were found in.
        self.problems
            .sort_by_cached_key(|problem| natural(&problem.field));
        self.problems.dedup();
        let blocked = self
            .problems
            .iter()
            .any(|problem| problem.severity >= Severity::Held);
        Translated {
            value: value.filter(|_| !blocked),
            problems: self.problems,
        }
    }
}

/// A path as segments that sort as a reader expects: `http[2]` before `http[10]`.
fn natural(path: &str) -> Vec<(u64, String)> {
    path.split(['.', '['])
        .map(|segment| {
            let segment = segment.trim_end_matches(']');
            match segment.parse() {
                Ok(index) => (index, String::new()),
                Err(_) => (0, segment.to_owned()),
            }
        })
        .collect()
}
