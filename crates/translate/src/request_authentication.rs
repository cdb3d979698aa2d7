//! `RequestAuthentication`: checked. While it is not enforced, what it selects is refused to everyone:
//! a token that would be refused must not pass.

use crate::{
    authorization_policy::{refused, whole_namespace},
    duration, names,
    report::{Fault, Report},
    selector,
};
use weft_crds::{
    kind::Kind,
    request_authentication::{JwtRule, RequestAuthenticationSpec},
};
use weft_model::{
    inbound::RefusalReason,
    policy::{PolicyMeta, RefuseAll, Translated},
};

/// What a RequestAuthentication means for now.
#[must_use]
pub fn translate(meta: &PolicyMeta, spec: &RequestAuthenticationSpec) -> Translated<RefuseAll> {
    const KIND: Kind = Kind::RequestAuthentication;
    let mut report = Report::new(&meta.object);
    let selector = selector::workloads(spec.selector.as_ref(), "spec.selector", &mut report);
    selector::exclusive(
        spec.selector.as_ref(),
        spec.target_ref.as_ref(),
        &spec.target_refs,
        &mut report,
    );
    for (index, rule) in spec.jwt_rules.iter().enumerate() {
        jwt_rule(rule, &format!("spec.jwtRules[{index}]"), &mut report);
    }
    for (field, given) in [
        ("spec.targetRef", spec.target_ref.is_some()),
        ("spec.targetRefs", !spec.target_refs.is_empty()),
    ] {
        if given {
            report.not_enforced(field, whole_namespace(KIND, field));
        }
    }
    report.not_enforced("spec.jwtRules", refused(KIND, "spec.jwtRules"));
    report.finish(Some(RefuseAll {
        meta: meta.clone(),
        selector,
        reason: RefusalReason::RequestAuthenticationNotEnforced,
    }))
}

fn jwt_rule(rule: &JwtRule, path: &str, report: &mut Report) {
    let uri = rule.jwks_uri.as_deref().or(rule.jwks_uri_snake.as_deref());
    let keys = usize::from(rule.jwks_uri.is_some())
        + usize::from(rule.jwks_uri_snake.is_some())
        + usize::from(rule.jwks.is_some());
    if keys > 1 {
        report.invalid(
            format!("{path}.jwks"),
            Fault::new(
                "ConflictingFields",
                "only one of jwks and jwksUri can be set",
                "keep jwksUri",
            ),
        );
    }
    if rule.issuer.is_none() && uri.is_none() {
        report.invalid(
            format!("{path}.issuer"),
            Fault::new(
                "MissingField",
                "issuer or jwksUri is required",
                "add the issuer",
            ),
        );
    }
    if let Some(uri) = uri
        && !uri.starts_with("http://")
        && !uri.starts_with("https://")
    {
        report.invalid(
            format!("{path}.jwksUri"),
            Fault::new(
                "InvalidUrl",
                format!("`{uri}` is not a URL of keys"),
                "begin it with https:// or http://",
            ),
        );
    }
    for (index, header) in rule.from_headers.iter().enumerate() {
        report.take(
            &format!("{path}.fromHeaders[{index}].name"),
            names::header_name(&header.name),
        );
    }
    if let Some(text) = &rule.timeout {
        report.take(&format!("{path}.timeout"), duration::positive(text));
    }
}
