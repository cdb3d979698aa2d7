//! `ServiceEntry`: checked; it has no effect yet.

use crate::{
    names,
    report::{Fault, Report},
    selector,
    usage::Uses,
    workload_entry,
};
use std::collections::BTreeSet;
use weft_crds::{
    kind::Kind,
    service_entry::{Resolution, ServiceEntrySpec},
};
use weft_model::{
    host::HostPattern,
    policy::{PolicyMeta, Translated},
};

/// Protocols that a port may speak, in capitals.
const PROTOCOLS: [&str; 11] = [
    "HTTP", "HTTPS", "HTTP2", "GRPC", "GRPC-WEB", "TCP", "TLS", "MONGO", "MYSQL", "REDIS", "UDP",
];

/// What a ServiceEntry means for now.
#[must_use]
pub fn translate(meta: &PolicyMeta, spec: &ServiceEntrySpec) -> Translated<PolicyMeta> {
    let mut report = Report::new(&meta.object);
    Uses::of(Kind::ServiceEntry, spec).report(&mut report);
    if spec.hosts.is_empty() {
        report.invalid(
            "spec.hosts",
            Fault::new("MissingField", "the service has no host", "add its names"),
        );
    }
    for (index, host) in spec.hosts.iter().enumerate() {
        let parsed = HostPattern::complete(host, "namespace", "domain").map_err(names::host_fault);
        let path = format!("spec.hosts[{index}]");
        if report.take(&path, parsed) == Some(HostPattern::Any) {
            report.invalid(
                path,
                Fault::new(
                    "InvalidHost",
                    "the host `*` is every name",
                    "use `*.suffix`",
                ),
            );
        }
    }
    let resolution = spec.resolution.unwrap_or(Resolution::None);
    addresses(spec, resolution, &mut report);
    ports(spec, &mut report);
    endpoints(spec, resolution, &mut report);
    selector::export_to(&spec.export_to, &meta.object.namespace, &mut report);
    if let Some(selector) = &spec.workload_selector {
        selector::labels(
            &selector.labels,
            "spec.workloadSelector.labels",
            &mut report,
        );
    }
    report.finish(Some(meta.clone()))
}

fn addresses(spec: &ServiceEntrySpec, resolution: Resolution, report: &mut Report) {
    for (index, address) in spec.addresses.iter().enumerate() {
        let path = format!("spec.addresses[{index}]");
        report.take(&path, names::cidr(address));
        if address.contains('/') && !matches!(resolution, Resolution::None | Resolution::Static) {
            report.invalid(
                path,
                Fault::new(
                    "ConflictingFields",
                    "a block of addresses is allowed only with resolution NONE or STATIC",
                    "give single addresses",
                ),
            );
        }
    }
}

fn ports(spec: &ServiceEntrySpec, report: &mut Report) {
    let (mut numbers, mut labels) = (BTreeSet::new(), BTreeSet::new());
    for (index, port) in spec.ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        if !numbers.insert(port.number) {
            report.invalid(
                format!("{path}.number"),
                Fault::new(
                    "DuplicatePort",
                    format!("port {} is there already", port.number),
                    "keep one of the two",
                ),
            );
        }
        if !labels.insert(&port.name) {
            report.invalid(
                format!("{path}.name"),
                Fault::new(
                    "DuplicateName",
                    format!("a port `{}` is there already", port.name),
                    "give each port a name of its own",
                ),
            );
        }
        report.take(
            &format!("{path}.name"),
            names::label_name(&port.name, "a port"),
        );
        if let Some(protocol) = port.protocol.as_deref().filter(|it| !it.is_empty())
            && !PROTOCOLS.contains(&protocol.to_uppercase().as_str())
        {
            report.invalid(
                format!("{path}.protocol"),
                Fault::new(
                    "UnknownValue",
                    format!("`{protocol}` is not a protocol"),
                    format!("use one of {}", PROTOCOLS.join(", ")),
                ),
            );
        }
    }
}

fn endpoints(spec: &ServiceEntrySpec, resolution: Resolution, report: &mut Report) {
    let mut conflict = |reason: &str, remedy: &str| {
        report.invalid(
            "spec.endpoints",
            Fault::new("ConflictingFields", reason, remedy),
        );
    };
    if !spec.endpoints.is_empty() {
        if spec.workload_selector.is_some() {
            conflict(
                "only one of workloadSelector and endpoints can be set",
                "keep one of the two",
            );
        }
        match resolution {
            Resolution::None => conflict(
                "resolution NONE has no endpoints",
                "use resolution STATIC or DNS, or remove them",
            ),
            Resolution::DnsRoundRobin if spec.endpoints.len() > 1 => conflict(
                "resolution DNS_ROUND_ROBIN has at most one endpoint",
                "keep one, or use resolution DNS",
            ),
            Resolution::Static
            | Resolution::Dns
            | Resolution::DnsRoundRobin
            | Resolution::DynamicDns => {}
        }
    }
    for (index, endpoint) in spec.endpoints.iter().enumerate() {
        let path = format!("spec.endpoints[{index}]");
        workload_entry::check(endpoint, &path, report);
        let address = endpoint.address.as_deref().unwrap_or_default();
        let literal = address.starts_with("unix://") || address.parse::<std::net::IpAddr>().is_ok();
        if resolution == Resolution::Static && !address.is_empty() && !literal {
            report.invalid(
                format!("{path}.address"),
                Fault::new(
                    "InvalidAddress",
                    format!("`{address}` is not an IP address, as resolution STATIC needs"),
                    "give an IP address, or use resolution DNS",
                ),
            );
        }
    }
}
