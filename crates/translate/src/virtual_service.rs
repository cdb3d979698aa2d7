//! `VirtualService`: hosts, gateways and HTTP rules. Its parts are in the modules below.

mod actions;
mod l4;
mod matching;
mod reachability;
mod route;

use crate::{
    Context, names,
    not_yet_enforced::Effect,
    report::{Fault, Report},
    selector,
    usage::Uses,
};
use weft_crds::{http_route::HttpRoute, kind::Kind, virtual_service::VirtualServiceSpec};
use weft_model::{
    host::HostPattern,
    matching::Matches,
    policy::{HttpRule, PolicyMeta, RuleMatch, Translated, VirtualService},
    problem::Severity,
};

pub(crate) use actions::retries::check as check_retries;

/// The reserved gateway name that means every sidecar.
const MESH: &str = "mesh";

/// What a VirtualService means to sidecars.
#[must_use]
pub fn translate(
    meta: &PolicyMeta,
    spec: &VirtualServiceSpec,
    context: &Context,
) -> Translated<VirtualService> {
    let mut report = Report::new(&meta.object);
    let uses = Uses::of(Kind::VirtualService, spec);
    uses.report(&mut report);
    let mesh = applies_to_sidecars(&spec.gateways);
    gateways(&spec.gateways, "spec.gateways", &mut report);
    selector::export_to(&spec.export_to, &meta.object.namespace, &mut report);
    let hosts = hosts(meta, spec, context, mesh, &mut report);
    if spec.http.is_empty() && spec.tls.is_empty() && spec.tcp.is_empty() {
        report.invalid(
            "spec.http",
            Fault::new(
                "NoRules",
                "the object has no rules",
                "add at least one rule under http",
            ),
        );
    }
    l4::check(meta, spec, context, &mut report);
    let mut rules = Vec::new();
    for (index, rule) in spec.http.iter().enumerate() {
        let path = format!("spec.http[{index}]");
        rules.extend(http_rule(
            meta,
            rule,
            index,
            &path,
            (context, mesh, &uses),
            &mut report,
        ));
    }
    reachability::check(&rules, &mut report);
    report.finish(Some(VirtualService {
        meta: meta.clone(),
        hosts,
        mesh,
        http: rules,
    }))
}

/// Whether a list of gateways means sidecars; an absent list does.
fn applies_to_sidecars(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|name| name == MESH)
}

/// Checks the names of gateways: `mesh`, `name` or `namespace/name`.
fn gateways(gateways: &[String], path: &str, report: &mut Report) {
    for (index, name) in gateways.iter().enumerate() {
        let (namespace, short) = match name.split_once('/') {
            Some((namespace, short)) => (Some(namespace), short),
            None => (None, name.as_str()),
        };
        let fine = namespace.is_none_or(|it| it == "." || names::is_dns_label(it))
            && names::is_dns_subdomain(short);
        if !fine {
            report.invalid(
                format!("{path}[{index}]"),
                Fault::new(
                    "InvalidGateway",
                    format!("`{name}` is not the name of a gateway"),
                    "write `mesh` for sidecars, `name`, or `namespace/name`",
                ),
            );
        }
    }
}

fn hosts(
    meta: &PolicyMeta,
    spec: &VirtualServiceSpec,
    context: &Context,
    mesh: bool,
    report: &mut Report,
) -> Vec<HostPattern> {
    if spec.hosts.is_empty() {
        report.add(
            Severity::Held,
            "spec.hosts",
            Fault::new(
                "NotYetEnforced",
                "an object without hosts is a delegate, and delegates are not enforced yet",
                "name the hosts that clients address",
            ),
        );
    }
    let mut patterns: Vec<HostPattern> = Vec::new();
    for (index, text) in spec.hosts.iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        if text == "*" && mesh {
            report.invalid(
                path,
                Fault::new(
                    "InvalidHost",
                    "the host `*` is not allowed for sidecars",
                    "name the hosts, or list only gateways other than `mesh`",
                ),
            );
            continue;
        }
        let parsed = HostPattern::complete(text, &meta.object.namespace, &context.cluster_domain)
            .map_err(names::host_fault);
        let Some(pattern) = report.take(&path, parsed) else {
            continue;
        };
        if let Some(other) = patterns.iter().find(|other| overlap(other, &pattern)) {
            report.invalid(
                path,
                Fault::new(
                    "DuplicateHost",
                    format!("`{text}` is the same host as, or overlaps with, `{other}`"),
                    "keep the wider one of the two",
                ),
            );
            continue;
        }
        patterns.push(pattern);
    }
    patterns
}

/// Whether some host is covered by both.
fn overlap(a: &HostPattern, b: &HostPattern) -> bool {
    let below = |inner: &HostPattern, outer: &HostPattern| match (inner, outer) {
        (_, HostPattern::Any) => true,
        (HostPattern::Exact(host), outer) => outer.covers(host),
        (HostPattern::Suffix(inner), HostPattern::Suffix(outer)) => {
            inner == outer || HostPattern::Suffix(outer.clone()).covers(inner)
        }
        (HostPattern::Suffix(_) | HostPattern::Any, _) => false,
    };
    below(a, b) || below(b, a)
}

/// One rule; nothing where all its blocks are for other gateways.
fn http_rule(
    meta: &PolicyMeta,
    rule: &HttpRoute,
    index: usize,
    path: &str,
    (context, mesh, uses): (&Context, bool, &Uses),
    report: &mut Report,
) -> Option<HttpRule> {
    let mut blocks = Vec::new();
    let mut elsewhere = 0;
    for (number, block) in rule.matches.iter().enumerate() {
        let path = format!("{path}.match[{number}]");
        let translated = matching::block(block, &path, report);
        gateways(&block.gateways, &format!("{path}.gateways"), report);
        if mesh && !block.gateways.is_empty() && !applies_to_sidecars(&block.gateways) {
            elsewhere += 1;
        } else if !uses.below(&path, Effect::NeverMatches) {
            blocks.push(translated);
        }
    }
    let matches: Matches<RuleMatch> = if rule.matches.is_empty() {
        Matches::Any
    } else {
        Matches::OneOf(blocks)
    };
    actions::check(meta, rule, path, context, report);
    let destinations = route::destinations(meta, rule, path, context, report);
    let timeout = rule
        .timeout
        .as_ref()
        .and_then(|text| report.take(&format!("{path}.timeout"), crate::duration::positive(text)));
    if elsewhere > 0 && elsewhere == rule.matches.len() {
        return None;
    }
    Some(HttpRule {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        name: rule.name.clone().filter(|name| !name.is_empty()),
        matches,
        destinations,
        timeout,
    })
}
