//! Which VirtualService routes a Service.
//!
//! Source: Istio's sidecars do not merge VirtualServices. The most specific host pattern wins, among equal ones the oldest
//! object.

use super::Index;
use weft_model::{
    host::Host,
    policy::{Policy, VirtualService},
};

impl Index {
    /// The VirtualServices in force that apply to sidecars.
    pub(super) fn mesh_routes(&self) -> impl Iterator<Item = &VirtualService> {
        self.in_force().filter_map(|policy| match policy {
            Policy::VirtualService(it) if it.mesh => Some(it),
            Policy::VirtualService(_)
            | Policy::DestinationRule(_)
            | Policy::PeerAuthentication(_)
            | Policy::RefuseAll(_)
            | Policy::MeshConfig(_)
            | Policy::Inert(_) => None,
        })
    }

    /// The VirtualService that routes `host`; none: default routing.
    #[must_use]
    pub fn route(&self, host: &Host) -> Option<&VirtualService> {
        self.mesh_routes()
            .filter_map(|route| {
                let covering = route.hosts.iter().filter(|pattern| pattern.covers(host));
                let specificity = covering
                    .map(weft_model::host::HostPattern::specificity)
                    .max()?;
                Some((std::cmp::Reverse(specificity), route.meta.age_key(), route))
            })
            .min_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)))
            .map(|(_, _, route)| route)
    }
}
