//! What a rule does beside forwarding: checked in full, and not enforced yet. One file for each.

mod answers;
mod cors;
mod faults;
mod headers;
pub(crate) mod retries;

use super::route;
use crate::{
    Context,
    report::{Fault, Report},
};
use weft_crds::http_route::{HttpRoute, Percent};
use weft_model::policy::PolicyMeta;

/// Checks everything but match, route and timeout.
pub(super) fn check(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    path: &str,
    context: &Context,
    report: &mut Report,
) {
    exclusions(rule, path, report);
    if let Some(redirect) = &rule.redirect {
        answers::redirect(redirect, &rule.matches, &format!("{path}.redirect"), report);
    }
    if let Some(response) = &rule.direct_response {
        answers::direct_response(response, &format!("{path}.directResponse"), report);
    }
    if let Some(delegate) = &rule.delegate
        && delegate.name.as_deref().is_none_or(str::is_empty)
    {
        report.invalid(
            format!("{path}.delegate.name"),
            Fault::new(
                "MissingField",
                "a delegate has no name",
                "name the VirtualService",
            ),
        );
    }
    if let Some(rewrite) = &rule.rewrite {
        answers::rewrite(rewrite, &format!("{path}.rewrite"), report);
    }
    if let Some(retries) = &rule.retries {
        retries::check(retries, &format!("{path}.retries"), report);
    }
    if let Some(fault) = &rule.fault {
        faults::check(fault, &format!("{path}.fault"), report);
    }
    mirrors(meta, rule, path, context, report);
    if let Some(cors) = &rule.cors_policy {
        cors::check(cors, &format!("{path}.corsPolicy"), report);
    }
    headers::check(rule, path, report);
}

fn exclusions(rule: &HttpRoute, path: &str, report: &mut Report) {
    let mut conflict = |field: &str, reason: &str| {
        report.invalid(
            format!("{path}.{field}"),
            Fault::new("ConflictingActions", reason, "keep one of the two"),
        );
    };
    if rule.redirect.is_some() {
        if !rule.route.is_empty() {
            conflict("redirect", "a rule cannot have both redirect and route");
        }
        if rule.rewrite.is_some() {
            conflict("rewrite", "a rule cannot have both redirect and rewrite");
        }
        if rule.direct_response.is_some() {
            conflict(
                "directResponse",
                "a rule cannot have both redirect and directResponse",
            );
        }
    }
    if rule.direct_response.is_some() {
        if !rule.route.is_empty() {
            conflict(
                "directResponse",
                "a rule cannot have both directResponse and route",
            );
        }
        if rule.fault.is_some() {
            conflict("fault", "a rule cannot have both directResponse and fault");
        }
        if rule.rewrite.is_some() {
            conflict(
                "rewrite",
                "a rule cannot have both directResponse and rewrite",
            );
        }
    }
    if rule.delegate.is_some() && (!rule.route.is_empty() || rule.redirect.is_some()) {
        conflict(
            "delegate",
            "a rule with a delegate has neither route nor redirect",
        );
    }
    if rule.mirror.is_some() && !rule.mirrors.is_empty() {
        conflict("mirrors", "a rule cannot have both mirror and mirrors");
    }
}

fn mirrors(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    path: &str,
    context: &Context,
    report: &mut Report,
) {
    if let Some(mirror) = &rule.mirror {
        route::destination(meta, mirror, &format!("{path}.mirror"), context, report);
    }
    for (name, given) in [
        ("mirrorPercent", rule.mirror_percent),
        ("mirror_percent", rule.mirror_percent_snake),
    ] {
        if given.is_some() {
            report.warn(
                format!("{path}.{name}"),
                deprecated(name, "mirrorPercentage.value"),
            );
        }
    }
    percent(
        rule.mirror_percentage.as_ref(),
        &format!("{path}.mirrorPercentage"),
        report,
    );
    for (index, mirror) in rule.mirrors.iter().enumerate() {
        let path = format!("{path}.mirrors[{index}]");
        route::destination(
            meta,
            &mirror.destination,
            &format!("{path}.destination"),
            context,
            report,
        );
        percent(
            mirror.percentage.as_ref(),
            &format!("{path}.percentage"),
            report,
        );
    }
}

/// Checks a share in percent.
fn percent(percent: Option<&Percent>, path: &str, report: &mut Report) {
    if let Some(percent) = percent
        && !(0.0..=100.0).contains(&percent.value)
    {
        report.invalid(
            format!("{path}.value"),
            Fault::new(
                "OutOfBounds",
                format!("{} is no percentage", percent.value),
                "use 0 to 100",
            ),
        );
    }
}

/// The problem of a field that has a successor.
fn deprecated(old: &str, new: &str) -> Fault {
    Fault::new(
        "DeprecatedField",
        format!("`{old}` is deprecated"),
        format!("use `{new}`"),
    )
}
