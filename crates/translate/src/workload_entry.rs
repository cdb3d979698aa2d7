//! `WorkloadEntry`, and the endpoints of a ServiceEntry: checked; they have no effect yet.

use crate::{
    names,
    report::{Fault, Report},
    selector,
    usage::Uses,
};
use weft_crds::{kind::Kind, workload_entry::WorkloadEntrySpec};
use weft_model::{
    host::Host,
    policy::{PolicyMeta, Translated},
};

/// How an address of a local socket begins.
const UNIX: &str = "unix://";

/// What a WorkloadEntry means for now.
#[must_use]
pub fn translate(meta: &PolicyMeta, spec: &WorkloadEntrySpec) -> Translated<PolicyMeta> {
    let mut report = Report::new(&meta.object);
    Uses::of(Kind::WorkloadEntry, spec).report(&mut report);
    check(spec, "spec", &mut report);
    report.finish(Some(meta.clone()))
}

/// Checks a workload at `path`.
pub(crate) fn check(spec: &WorkloadEntrySpec, path: &str, report: &mut Report) {
    let address = spec.address.as_deref().unwrap_or_default();
    if address.is_empty() && spec.network.as_deref().unwrap_or_default().is_empty() {
        report.invalid(
            format!("{path}.address"),
            Fault::new(
                "MissingField",
                "address or network is required",
                "give the workload's IP address or host name",
            ),
        );
    }
    if let Some(socket) = address.strip_prefix(UNIX) {
        if !socket.starts_with(['/', '@']) || socket.ends_with('/') {
            report.invalid(
                format!("{path}.address"),
                Fault::new(
                    "InvalidAddress",
                    format!("`{address}` is not the path of a socket"),
                    "write unix:///path/to/socket",
                ),
            );
        }
        if !spec.ports.is_empty() {
            report.invalid(
                format!("{path}.ports"),
                Fault::new(
                    "ConflictingFields",
                    "a unix address has no ports",
                    "remove them",
                ),
            );
        }
    } else if !address.is_empty()
        && address.parse::<std::net::IpAddr>().is_err()
        && address.parse::<Host>().is_err()
    {
        report.invalid(
            format!("{path}.address"),
            Fault::new(
                "InvalidAddress",
                format!("`{address}` is neither an IP address nor a host name"),
                "write for example 10.1.2.3 or db.example.com",
            ),
        );
    }
    for (name, port) in &spec.ports {
        let path = format!("{path}.ports[{name}]");
        report.take(&path, names::label_name(name, "a port"));
        if *port == 0 {
            report.invalid(
                path,
                Fault::new("InvalidPort", "0 is not a port", "use 1 to 65535"),
            );
        }
    }
    selector::labels(&spec.labels, &format!("{path}.labels"), report);
    if let Some(account) = spec.service_account.as_deref().filter(|it| !it.is_empty())
        && !names::is_dns_subdomain(account)
    {
        report.invalid(
            format!("{path}.serviceAccount"),
            Fault::new(
                "InvalidName",
                format!("`{account}` is not the name of a ServiceAccount"),
                "use lower-case letters, digits, `-` and `.`",
            ),
        );
    }
}
