//! `PeerAuthentication`: the mode of mutual TLS at mesh, namespace or workload.

use crate::{
    Context,
    report::{Fault, Report},
    selector,
    usage::Uses,
};
use weft_crds::{
    kind::Kind,
    peer_authentication::{MutualTls, MutualTlsMode, PeerAuthenticationSpec},
};
use weft_model::{
    inbound::MtlsMode,
    policy::{PeerAuthentication, PolicyMeta, Translated},
};

/// What a PeerAuthentication means. While modes of single ports are not enforced, the workload takes
/// the strictest mode that the object names.
#[must_use]
pub fn translate(
    meta: &PolicyMeta,
    spec: &PeerAuthenticationSpec,
    context: &Context,
) -> Translated<PeerAuthentication> {
    let mut report = Report::new(&meta.object);
    Uses::of(Kind::PeerAuthentication, spec).report(&mut report);
    let selector = selector::workloads(spec.selector.as_ref(), "spec.selector", &mut report);
    if selector.is_some() && meta.object.namespace == context.root_namespace {
        report.warn(
            "spec.selector",
            Fault::new(
                "SelectorInRootNamespace",
                format!(
                    "a selector in the root namespace selects only workloads of {} itself",
                    context.root_namespace
                ),
                "put the object into the namespace of the workloads, or remove the selector for the whole mesh",
            ),
        );
    }
    if !spec.port_level_mtls.is_empty() && selector.is_none() {
        report.invalid(
            "spec.portLevelMtls",
            Fault::new(
                "MissingField",
                "portLevelMtls needs a selector",
                "add spec.selector.matchLabels",
            ),
        );
    }
    for port in spec.port_level_mtls.keys() {
        if !port.parse::<u16>().is_ok_and(|port| port > 0) {
            report.invalid(
                format!("spec.portLevelMtls[{port}]"),
                Fault::new(
                    "InvalidPort",
                    format!("`{port}` is not a port"),
                    "use the container port, 1 to 65535",
                ),
            );
        }
    }
    let own = spec.mtls.as_ref().and_then(mode);
    let strictest = spec
        .port_level_mtls
        .values()
        .filter_map(mode)
        .chain(own)
        .max();
    // A port's mode may be laxer than what the workload inherits; only what is stricter may spread.
    let mode = match own {
        Some(_) => strictest,
        None => strictest.filter(|mode| *mode == MtlsMode::Strict),
    };
    report.finish(Some(PeerAuthentication {
        meta: meta.clone(),
        selector,
        mode,
    }))
}

/// The mode that is said; UNSET says nothing.
fn mode(mtls: &MutualTls) -> Option<MtlsMode> {
    match mtls.mode? {
        MutualTlsMode::Unset => None,
        MutualTlsMode::Disable => Some(MtlsMode::Disable),
        MutualTlsMode::Permissive => Some(MtlsMode::Permissive),
        MutualTlsMode::Strict => Some(MtlsMode::Strict),
    }
}
