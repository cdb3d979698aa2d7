//! Which workloads a policy selects, and which namespaces see an object.

use crate::{
    names,
    report::{Fault, Report},
};
use std::collections::BTreeMap;
use weft_crds::selector::{TargetRef, WorkloadSelector};
use weft_model::Labels;

/// The labels to select by; none selects everything.
pub(crate) fn workloads(
    selector: Option<&WorkloadSelector>,
    path: &str,
    report: &mut Report,
) -> Option<Labels> {
    let labels = &selector?.match_labels;
    self::labels(labels, &format!("{path}.matchLabels"), report);
    (!labels.is_empty()).then(|| labels.clone())
}

/// Checks a map of labels.
pub(crate) fn labels(labels: &BTreeMap<String, String>, path: &str, report: &mut Report) {
    for (key, value) in labels {
        if let Err(fault) = names::label(key, value) {
            report.invalid(format!("{path}[{key}]"), fault);
        }
    }
}

/// Checks that a policy says in at most one way what it is attached to.
pub(crate) fn exclusive(
    selector: Option<&WorkloadSelector>,
    target: Option<&TargetRef>,
    targets: &[TargetRef],
    report: &mut Report,
) {
    let ways = usize::from(selector.is_some())
        + usize::from(target.is_some())
        + usize::from(!targets.is_empty());
    if ways > 1 {
        report.invalid(
            "spec.selector",
            Fault::new(
                "ConflictingTargets",
                "only one of selector, targetRef and targetRefs can be set",
                "keep the selector",
            ),
        );
    }
}

/// Checks `exportTo`.
pub(crate) fn export_to(namespaces: &[String], own: &str, report: &mut Report) {
    let path = |index: usize| format!("spec.exportTo[{index}]");
    for (index, name) in namespaces.iter().enumerate() {
        if !matches!(name.as_str(), "*" | "." | "~")
            && let Err(fault) = names::dns_label(name, "a namespace")
        {
            report.invalid(path(index), fault);
        }
        let meant = |name: &'_ str| {
            if name == "." {
                own.to_owned()
            } else {
                name.to_owned()
            }
        };
        let earlier = namespaces.iter().take(index);
        if earlier.into_iter().any(|other| meant(other) == meant(name)) {
            report.invalid(
                path(index),
                Fault::new(
                    "DuplicateNamespace",
                    format!("`{name}` is listed twice (`.` is this namespace)"),
                    "remove it",
                ),
            );
        }
    }
    if namespaces.len() > 1
        && let Some(index) = namespaces
            .iter()
            .position(|name| name == "*" || name == "~")
    {
        report.invalid(
            path(index),
            Fault::new(
                "ConflictingNamespaces",
                "`*` and `~` stand alone",
                "keep it as the only entry, or name the namespaces",
            ),
        );
    }
}
