//! `tls` and `tcp` of a VirtualService: checked, and not enforced yet.

use super::{gateways, route};
use crate::{
    Context, names,
    report::{Fault, Report},
    selector,
};
use std::collections::BTreeMap;
use weft_crds::virtual_service::{RouteDestination, VirtualServiceSpec};
use weft_model::{host::HostPattern, policy::PolicyMeta};

/// Checks both lists.
pub(super) fn check(
    meta: &PolicyMeta,
    spec: &VirtualServiceSpec,
    context: &Context,
    report: &mut Report,
) {
    let hosts: Vec<HostPattern> = spec
        .hosts
        .iter()
        .filter_map(|host| {
            HostPattern::complete(host, &meta.object.namespace, &context.cluster_domain).ok()
        })
        .collect();
    for (index, rule) in spec.tls.iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        if rule.matches.is_empty() {
            report.invalid(
                format!("{path}.match"),
                Fault::new("MissingField", "a TLS rule needs a match", "add sniHosts"),
            );
        }
        for (number, block) in rule.matches.iter().enumerate() {
            let path = format!("{path}.match[{number}]");
            if block.sni_hosts.is_empty() {
                report.invalid(
                    format!("{path}.sniHosts"),
                    Fault::new(
                        "MissingField",
                        "a TLS match needs a server name",
                        "add the names that clients ask for",
                    ),
                );
            }
            for (which, name) in block.sni_hosts.iter().enumerate() {
                sni_host(name, &hosts, &format!("{path}.sniHosts[{which}]"), report);
            }
            block_fields(
                &path,
                &block.destination_subnets,
                &block.source_labels,
                &block.gateways,
                block.source_namespace.as_deref(),
                report,
            );
        }
        destinations(meta, &rule.route, &path, context, report);
    }
    for (index, rule) in spec.tcp.iter().enumerate() {
        let path = format!("spec.tcp[{index}]");
        for (number, block) in rule.matches.iter().enumerate() {
            let path = format!("{path}.match[{number}]");
            if let Some(subnet) = &block.source_subnet
                && let Err(fault) = names::cidr(subnet)
            {
                report.invalid(format!("{path}.sourceSubnet"), fault);
            }
            block_fields(
                &path,
                &block.destination_subnets,
                &block.source_labels,
                &block.gateways,
                block.source_namespace.as_deref(),
                report,
            );
        }
        destinations(meta, &rule.route, &path, context, report);
    }
}

fn sni_host(name: &str, hosts: &[HostPattern], path: &str, report: &mut Report) {
    let parsed =
        HostPattern::complete(name, "", "").or_else(|_| name.parse().map(HostPattern::Exact));
    let Some(pattern) = report.take(path, parsed.map_err(names::host_fault)) else {
        return;
    };
    let within = hosts.iter().any(|host| match (&pattern, host) {
        (HostPattern::Exact(name), host) => host.covers(name),
        (HostPattern::Suffix(name), HostPattern::Suffix(host)) => {
            name == host || HostPattern::Suffix(host.clone()).covers(name)
        }
        (HostPattern::Suffix(_) | HostPattern::Any, HostPattern::Any) => true,
        (HostPattern::Suffix(_) | HostPattern::Any, _) => false,
    });
    if !within {
        report.invalid(
            path,
            Fault::new(
                "HostNotCovered",
                format!("`{name}` is not within the object's hosts"),
                "add it to hosts, or remove it",
            ),
        );
    }
}

fn block_fields(
    path: &str,
    subnets: &[String],
    labels: &BTreeMap<String, String>,
    gateway_names: &[String],
    namespace: Option<&str>,
    report: &mut Report,
) {
    for (index, subnet) in subnets.iter().enumerate() {
        if let Err(fault) = names::cidr(subnet) {
            report.invalid(format!("{path}.destinationSubnets[{index}]"), fault);
        }
    }
    selector::labels(labels, &format!("{path}.sourceLabels"), report);
    gateways(gateway_names, &format!("{path}.gateways"), report);
    if let Some(namespace) = namespace
        && let Err(fault) = names::dns_label(namespace, "a namespace")
    {
        report.invalid(format!("{path}.sourceNamespace"), fault);
    }
}

fn destinations(
    meta: &PolicyMeta,
    routes: &[RouteDestination],
    path: &str,
    context: &Context,
    report: &mut Report,
) {
    if routes.is_empty() {
        report.invalid(
            format!("{path}.route"),
            Fault::new(
                "NoRoute",
                "the rule does not say where connections go",
                "add a destination under route",
            ),
        );
    }
    let weights: Vec<_> = routes.iter().map(|it| it.weight).collect();
    route::check_weights(&weights, path, report);
    for (index, it) in routes.iter().enumerate() {
        let path = format!("{path}.route[{index}].destination");
        route::destination(meta, &it.destination, &path, context, report);
    }
}
