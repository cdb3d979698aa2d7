//! `DestinationRule`: host, subsets, load balancing and mutual TLS.

mod checks;

use crate::{
    Context, names,
    report::{Fault, Report},
    selector,
    usage::Uses,
};
use std::collections::BTreeSet;
use weft_crds::{
    destination_rule::DestinationRuleSpec,
    kind::Kind,
    traffic_policy::{
        ClientTlsSettings, LoadBalancerSettings, SimpleLoadBalancer, TlsMode,
        TrafficPolicy as TrafficPolicySpec,
    },
};
use weft_model::{
    cluster::{LoadBalance, UpstreamTls},
    host::HostPattern,
    policy::{DestinationRule, PolicyMeta, Subset, TrafficPolicy, Translated},
};

/// What a DestinationRule means.
#[must_use]
pub fn translate(
    meta: &PolicyMeta,
    spec: &DestinationRuleSpec,
    context: &Context,
) -> Translated<DestinationRule> {
    let mut report = Report::new(&meta.object);
    Uses::of(Kind::DestinationRule, spec).report(&mut report);
    selector::export_to(&spec.export_to, &meta.object.namespace, &mut report);
    selector::workloads(
        spec.workload_selector.as_ref(),
        "spec.workloadSelector",
        &mut report,
    );
    let host = HostPattern::complete(&spec.host, &meta.object.namespace, &context.cluster_domain)
        .map_err(names::host_fault);
    let host = report.take("spec.host", host);
    let mut traffic = TrafficPolicy::default();
    if let Some(policy) = &spec.traffic_policy {
        traffic = traffic_policy(policy, "spec.trafficPolicy", &mut report);
        checks::tls_credential(policy, spec, "spec.trafficPolicy", &mut report);
    }
    let mut subsets = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, subset) in spec.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{index}]");
        report.take(
            &format!("{path}.name"),
            names::label_name(&subset.name, "a subset"),
        );
        if !seen.insert(&subset.name) {
            report.invalid(
                format!("{path}.name"),
                Fault::new(
                    "DuplicateSubset",
                    format!("there is a subset `{}` already", subset.name),
                    "give each subset a name of its own",
                ),
            );
        }
        selector::labels(&subset.labels, &format!("{path}.labels"), &mut report);
        if subset.labels.is_empty() {
            report.warn(
                format!("{path}.labels"),
                Fault::new(
                    "NoLabels",
                    format!(
                        "the subset `{}` has no labels, so it is every endpoint",
                        subset.name
                    ),
                    "give it the labels of the workloads that it means",
                ),
            );
        }
        let mut traffic = TrafficPolicy::default();
        if let Some(policy) = &subset.traffic_policy {
            let path = format!("{path}.trafficPolicy");
            traffic = traffic_policy(policy, &path, &mut report);
            checks::tls_credential(policy, spec, &path, &mut report);
        }
        subsets.push(Subset {
            name: subset.name.clone(),
            labels: subset.labels.clone(),
            traffic,
        });
    }
    let value = host.map(|host| DestinationRule {
        meta: meta.clone(),
        host,
        traffic,
        subsets,
    });
    report.finish(value)
}

/// What the enforced blocks of a traffic policy mean; the others are checked.
fn traffic_policy(policy: &TrafficPolicySpec, path: &str, report: &mut Report) -> TrafficPolicy {
    if *policy == TrafficPolicySpec::default() {
        report.invalid(
            path,
            Fault::new(
                "EmptyPolicy",
                "the traffic policy is empty",
                "give it a block, for example loadBalancer, or remove it",
            ),
        );
    }
    checks::blocks(policy, path, report);
    TrafficPolicy {
        load_balance: policy
            .load_balancer
            .as_ref()
            .and_then(|settings| load_balance(settings, &format!("{path}.loadBalancer"), report)),
        tls: policy
            .tls
            .as_ref()
            .map(|settings| upstream_tls(settings, &format!("{path}.tls"), report)),
    }
}

/// How an endpoint is chosen; nothing where the default is, or where the method is not enforced.
fn load_balance(
    settings: &LoadBalancerSettings,
    path: &str,
    report: &mut Report,
) -> Option<LoadBalance> {
    match settings.simple? {
        // A subset that says UNSPECIFIED asks for the default, whatever its host says.
        SimpleLoadBalancer::Unspecified | SimpleLoadBalancer::Passthrough => {
            Some(LoadBalance::Ewma)
        }
        SimpleLoadBalancer::LeastConn => {
            report.warn(
                format!("{path}.simple"),
                Fault::new(
                    "DeprecatedValue",
                    "LEAST_CONN is deprecated and means LEAST_REQUEST",
                    "use LEAST_REQUEST",
                ),
            );
            Some(LoadBalance::LeastRequest)
        }
        SimpleLoadBalancer::LeastRequest => Some(LoadBalance::LeastRequest),
        SimpleLoadBalancer::RoundRobin => Some(LoadBalance::RoundRobin),
        SimpleLoadBalancer::Random => Some(LoadBalance::Random),
    }
}

/// Mutual TLS or not. A mode that is not enforced holds the object, so its value does not matter.
fn upstream_tls(settings: &ClientTlsSettings, path: &str, report: &mut Report) -> UpstreamTls {
    match settings.mode {
        None => {
            report.warn(
                format!("{path}.mode"),
                Fault::new(
                    "NoMode",
                    "a tls block without a mode means DISABLE: plaintext",
                    "write `mode: ISTIO_MUTUAL` for mutual TLS, or remove the block for the automatic choice",
                ),
            );
            UpstreamTls::Disable
        }
        Some(TlsMode::Disable) => UpstreamTls::Disable,
        Some(TlsMode::IstioMutual | TlsMode::Simple | TlsMode::Mutual) => UpstreamTls::Mutual,
    }
}
