//! What people read: each edit's line and each problem's lines.

use crate::{source::folder::FileProblem, source::laptop::Edit};
use std::{collections::BTreeSet, fmt::Write as _, time::Duration};
use weft_model::{problem::Severity, source::ObjectRef, workload::WorkloadName};

/// Objects that one line names; of more only the number is said.
const NAMED: usize = 3;

/// `changed VirtualService shop/cart (cart.yaml:1), released ...`.
#[must_use]
pub fn title(edits: &[Edit], released: &BTreeSet<ObjectRef>) -> String {
    let mut parts: Vec<String> = edits
        .iter()
        .map(|edit| {
            format!(
                "{} {} ({}:{})",
                edit.verb,
                object(&edit.object),
                edit.file,
                edit.line
            )
        })
        .collect();
    parts.extend(released.iter().map(|it| format!("released {}", object(it))));
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    let mut title = parts.join(", ");
    if more > 0 {
        let _ = write!(title, " and {more} more");
    }
    title
}

/// Kind and name; a cluster-wide object has no namespace.
#[must_use]
pub fn object(object: &ObjectRef) -> String {
    if object.namespace.is_empty() {
        format!("{} {}", object.kind, object.name)
    } else {
        object.to_string()
    }
}

/// The end of an edit.
#[must_use]
pub fn enforced(title: &str, needed: usize, took: Duration) -> String {
    match needed {
        0 => format!("{title}: no proxy needs it yet"),
        _ => format!(
            "{title}: enforced by {needed}/{needed} proxies in {}",
            time(took)
        ),
    }
}

/// An edit that is not enforced everywhere.
#[must_use]
pub fn not_enforced(
    title: &str,
    needed: usize,
    waiting: &BTreeSet<WorkloadName>,
    waited: Duration,
) -> String {
    let programmed = needed.saturating_sub(waiting.len());
    let mut names: Vec<String> = waiting
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    if waiting.len() > NAMED {
        names.push(format!("{} more", waiting.len() - NAMED));
    }
    let names = names.join(", ");
    format!(
        "{title}: enforced by {programmed}/{needed} proxies after {}; not yet by {names}",
        time(waited)
    )
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(5) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// What became of an edited object that is not in force as it was written.
#[must_use]
pub fn not_accepted(severity: Severity, in_force: Option<i64>) -> String {
    let what = match severity {
        Severity::Invalid => "invalid",
        Severity::Held => "held",
        Severity::NotEnforced | Severity::Warning => "not in force",
    };
    match in_force {
        Some(generation) => format!("{what}, generation {generation} stays in force"),
        None => format!("{what}, nothing of it is in force"),
    }
}

/// A file whose problems are gone without any object of it having changed.
#[must_use]
pub fn mended(file: &str) -> String {
    format!("{file}: no problem left, and nothing else changed")
}

/// A problem: where, how far it reaches and what is wrong, what to do.
///
/// ```text
///   cart.yaml:14  VirtualService shop/cart  spec.http[0].route[1].destination.subset
///     held: no DestinationRule for ... defines the subset `v3` (SubsetNotFound)
///     remedy: define it beside v1, v2, or correct the name
/// ```
#[must_use]
pub fn problem(problem: &FileProblem) -> String {
    let mut place = problem.file.to_string();
    if problem.line > 0 {
        let _ = write!(place, ":{}", problem.line);
    }
    let about = problem.object.as_ref().map(object).unwrap_or_default();
    let head = [place.as_str(), about.as_str(), problem.field.as_str()]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("  ");
    let reach = match problem.severity {
        Severity::Warning => "warning",
        Severity::NotEnforced => "not enforced",
        Severity::Held => "held",
        Severity::Invalid => "invalid",
    };
    format!(
        "  {head}\n    {reach}: {} ({})\n    remedy: {}",
        problem.reason, problem.code, problem.remedy
    )
}
