//! What a proxy is told about the workload it stands beside.

use crate::{
    index::Index,
    source::{Membership, Workload},
};
use weft_model::{
    inbound::InboundPolicy,
    protocol::Protocol,
    selects,
    workload::{WorkloadConfig, WorkloadName},
};

fn meshed<'a>(index: &'a Index, name: &WorkloadName) -> Option<&'a Workload> {
    let workload = index.workload(name)?;
    match workload.membership {
        Membership::Meshed => Some(workload),
        Membership::Unmeshed => None,
    }
}

/// Its settings; none when it is not part of the mesh.
pub(super) fn config(index: &Index, name: &WorkloadName) -> Option<WorkloadConfig> {
    let workload = meshed(index, name)?;
    let settings = index.settings();
    let mut ports: Vec<u16> = workload.ports.iter().map(|port| port.number).collect();
    ports.sort_unstable();
    ports.dedup();
    Some(WorkloadConfig {
        name: name.clone(),
        workload: workload.owner.clone(),
        identity: index.identity(workload)?,
        labels: workload.labels.clone(),
        ports,
        access_log: settings.access_log,
        certificate_lifetime: settings.certificate_lifetime,
        sources: settings.source.iter().cloned().collect(),
    })
}

/// The policy of one of its ports; none when it declares no such port.
pub(super) fn inbound(index: &Index, name: &WorkloadName, port: u16) -> Option<InboundPolicy> {
    let workload = meshed(index, name)?;
    let own = workload.port(port)?.protocol;
    let mtls = index.mtls(workload);
    let refuse = index.refusal(workload);
    let mut sources = mtls.sources;
    sources.extend(refuse.iter().map(|it| it.source.clone()));
    let protocol = match declared(index, workload, port) {
        Some(protocol) => protocol,
        None => own,
    };
    Some(InboundPolicy {
        port,
        protocol,
        mtls: mtls.mode,
        refuse,
        sources,
    })
}

/// What the Services in front of the port declare; the first by name that declares something.
fn declared(index: &Index, workload: &Workload, port: u16) -> Option<Protocol> {
    index
        .services()
        .filter(|(_, service)| {
            service.name.namespace == workload.name.namespace
                && !service.selector.is_empty()
                && selects(&service.selector, &workload.labels)
        })
        .flat_map(|(_, service)| &service.ports)
        .filter(|it| {
            it.target
                .of(workload)
                .is_some_and(|target| target.number == port)
        })
        .map(|it| it.protocol)
        .find(|protocol| *protocol != Protocol::Detect)
}
