//! `AuthorizationPolicy`: checked in full. While it is not enforced, what it selects is refused to
//! everyone, so that access is never wider than its author meant.

mod condition;

use crate::{
    names,
    not_yet_enforced::NOT_YET_ENFORCED,
    report::{Fault, Report},
    selector,
};
use weft_crds::{
    authorization_policy::{Action, AuthorizationPolicySpec, Operation, Source},
    kind::Kind,
};
use weft_model::{
    inbound::RefusalReason,
    policy::{Policy, PolicyMeta, RefuseAll, Translated},
};

/// What an AuthorizationPolicy means for now. One whose action is AUDIT refuses nothing.
#[must_use]
pub fn translate(meta: &PolicyMeta, spec: &AuthorizationPolicySpec) -> Translated<Policy> {
    let mut report = Report::new(&meta.object);
    let action = spec.action.unwrap_or_default();
    let selector = selector::workloads(spec.selector.as_ref(), "spec.selector", &mut report);
    selector::exclusive(
        spec.selector.as_ref(),
        spec.target_ref.as_ref(),
        &spec.target_refs,
        &mut report,
    );
    if matches!(action, Action::Deny | Action::Custom) && spec.rules.is_empty() {
        report.invalid(
            "spec.rules",
            Fault::new(
                "NoRules",
                "a policy that denies needs rules",
                "add rules; `rules: [{}]` covers every request",
            ),
        );
    }
    provider(spec, action, &mut report);
    for (index, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{index}]");
        for (number, from) in rule.from.iter().enumerate() {
            let path = format!("{path}.from[{number}].source");
            match &from.source {
                Some(source) if *source != Source::default() => {
                    self::source(source, &path, &mut report)
                }
                _ => report.invalid(path, empty("source", "principals")),
            }
        }
        for (number, to) in rule.to.iter().enumerate() {
            let path = format!("{path}.to[{number}].operation");
            match &to.operation {
                Some(operation) if *operation != Operation::default() => {
                    self::operation(operation, &path, &mut report);
                }
                _ => report.invalid(path, empty("operation", "paths")),
            }
        }
        for (number, when) in rule.when.iter().enumerate() {
            condition::check(when, &format!("{path}.when[{number}]"), &mut report);
        }
    }
    if action == Action::Audit {
        report.not_enforced("spec.action", refusal_free(Kind::AuthorizationPolicy));
        return report.finish(Some(Policy::Inert(meta.clone())));
    }
    for (field, given) in [
        ("spec.targetRef", spec.target_ref.is_some()),
        ("spec.targetRefs", !spec.target_refs.is_empty()),
    ] {
        if given {
            report.not_enforced(field, whole_namespace(Kind::AuthorizationPolicy, field));
        }
    }
    report.not_enforced(
        "spec.rules",
        refused(Kind::AuthorizationPolicy, "spec.rules"),
    );
    report.finish(Some(Policy::RefuseAll(RefuseAll {
        meta: meta.clone(),
        selector,
        reason: RefusalReason::AuthorizationNotEnforced,
    })))
}

/// The problem of a policy that refuses everything it selects.
pub(crate) fn refused(kind: Kind, field: &str) -> Fault {
    Fault::new(
        "NotYetEnforced",
        format!(
            "{kind} is not enforced yet, so every request to the workloads that it selects is refused"
        ),
        remedy(kind, field),
    )
}

/// The problem of a policy that is attached to an object instead of selecting workloads.
pub(crate) fn whole_namespace(kind: Kind, field: &str) -> Fault {
    let name = field.trim_start_matches("spec.");
    Fault::new(
        "NotYetEnforced",
        format!("`{name}` is not enforced yet, so the policy selects its whole namespace"),
        remedy(kind, field),
    )
}

fn refusal_free(kind: Kind) -> Fault {
    let field = "spec.action=AUDIT";
    Fault::new(
        "NotYetEnforced",
        "`action: AUDIT` is not enforced yet and marks nothing",
        remedy(kind, field),
    )
}

fn remedy(kind: Kind, field: &str) -> &'static str {
    NOT_YET_ENFORCED
        .iter()
        .find(|entry| entry.kind == kind && entry.field == field)
        .map_or("remove the object, or wait until it is enforced", |entry| {
            entry.remedy
        })
}

fn empty(name: &str, example: &str) -> Fault {
    Fault::new(
        "EmptyMatch",
        format!("`{name}` says nothing"),
        format!("give it a field, for example {example}, or remove it"),
    )
}

fn provider(spec: &AuthorizationPolicySpec, action: Action, report: &mut Report) {
    let name = spec
        .provider
        .as_ref()
        .and_then(|provider| provider.name.as_deref())
        .filter(|name| !name.is_empty());
    match (action, name, &spec.provider) {
        (Action::Custom, None, _) => report.invalid(
            "spec.provider.name",
            Fault::new(
                "MissingField",
                "action CUSTOM needs a provider",
                "name the external authorizer",
            ),
        ),
        (Action::Allow | Action::Deny | Action::Audit, _, Some(_)) => report.invalid(
            "spec.provider",
            Fault::new(
                "ConflictingFields",
                "only action CUSTOM has a provider",
                "remove it, or use action CUSTOM",
            ),
        ),
        _ => {}
    }
}

fn source(source: &Source, path: &str, report: &mut Report) {
    let accounts = !source.service_accounts.is_empty() || !source.not_service_accounts.is_empty();
    let others = !source.principals.is_empty()
        || !source.not_principals.is_empty()
        || !source.namespaces.is_empty()
        || !source.not_namespaces.is_empty();
    if accounts && others {
        report.invalid(
            format!("{path}.serviceAccounts"),
            Fault::new(
                "ConflictingFields",
                "serviceAccounts cannot be used with principals or namespaces",
                "say it all by principals",
            ),
        );
    }
    for (name, values) in [
        ("principals", &source.principals),
        ("notPrincipals", &source.not_principals),
        ("requestPrincipals", &source.request_principals),
        ("notRequestPrincipals", &source.not_request_principals),
        ("namespaces", &source.namespaces),
        ("notNamespaces", &source.not_namespaces),
        ("trustDomains", &source.trust_domains),
        ("notTrustDomains", &source.not_trust_domains),
    ] {
        for (index, value) in values.iter().enumerate() {
            let path = format!("{path}.{name}[{index}]");
            text(value, &path, report);
            if name.ends_with("rincipals") && value.starts_with("spiffe://") {
                report.warn(
                    path,
                    Fault::new(
                        "NeverMatches",
                        "a principal is written without spiffe://, so this one never matches",
                        "remove spiffe://",
                    ),
                );
            }
        }
    }
    for (name, values) in [
        ("ipBlocks", &source.ip_blocks),
        ("notIpBlocks", &source.not_ip_blocks),
        ("remoteIpBlocks", &source.remote_ip_blocks),
        ("notRemoteIpBlocks", &source.not_remote_ip_blocks),
    ] {
        for (index, value) in values.iter().enumerate() {
            report.take(&format!("{path}.{name}[{index}]"), names::cidr(value));
        }
    }
    for (name, values) in [
        ("serviceAccounts", &source.service_accounts),
        ("notServiceAccounts", &source.not_service_accounts),
    ] {
        for (index, value) in values.iter().enumerate() {
            let (namespace, account) = match value.split_once('/') {
                Some((namespace, account)) => (Some(namespace), account),
                None => (None, value.as_str()),
            };
            if !namespace.is_none_or(names::is_dns_label) || !names::is_dns_subdomain(account) {
                report.invalid(
                    format!("{path}.{name}[{index}]"),
                    Fault::new(
                        "InvalidName",
                        format!("`{value}` is not a ServiceAccount"),
                        "write `name` or `namespace/name`, without a wildcard",
                    ),
                );
            }
        }
    }
}

fn operation(operation: &Operation, path: &str, report: &mut Report) {
    for (name, values) in [
        ("hosts", &operation.hosts),
        ("notHosts", &operation.not_hosts),
        ("methods", &operation.methods),
        ("notMethods", &operation.not_methods),
    ] {
        for (index, value) in values.iter().enumerate() {
            text(value, &format!("{path}.{name}[{index}]"), report);
        }
    }
    for (name, values) in [
        ("ports", &operation.ports),
        ("notPorts", &operation.not_ports),
    ] {
        for (index, value) in values.iter().enumerate() {
            report.take(&format!("{path}.{name}[{index}]"), port(value));
        }
    }
    for (name, values) in [
        ("paths", &operation.paths),
        ("notPaths", &operation.not_paths),
    ] {
        for (index, value) in values.iter().enumerate() {
            let path = format!("{path}.{name}[{index}]");
            text(value, &path, report);
            report.take(&path, condition::path_template(value));
        }
    }
}

/// A port as text.
pub(super) fn port(value: &str) -> Result<(), Fault> {
    if value.parse::<u16>().is_ok_and(|port| port > 0) {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidPort",
            format!("`{value}` is not a port"),
            "use the container port, 1 to 65535, without a wildcard",
        ))
    }
}

/// A value to compare with: exact, `prefix*`, `*suffix` or `*`.
fn text(value: &str, path: &str, report: &mut Report) {
    if value.is_empty() {
        report.invalid(
            path,
            Fault::new("EmptyMatch", "an empty value never matches", "remove it"),
        );
    }
}
