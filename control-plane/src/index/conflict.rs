//! Objects in force that lose to an older one: their authors must hear of it.

use super::{Entry, Index, inbound::Level};
use weft_model::{
    policy::{PeerAuthentication, Policy, PolicyMeta, VirtualService},
    problem::{Problem, Severity},
};

/// Another, older object claims the same.
pub(super) const CONFLICT: &str = "Conflict";
/// The object selects nobody where it lies.
pub(super) const IGNORED: &str = "Ignored";

impl Index {
    /// What `entry`'s generation in force loses, and to whom.
    pub(super) fn conflicts(&self, entry: &Entry) -> Vec<Problem> {
        match entry.in_force.as_ref().map(|it| &it.policy) {
            Some(Policy::VirtualService(it)) => self.route_conflicts(it),
            Some(Policy::PeerAuthentication(it)) => self.peer_conflicts(it),
            Some(Policy::MeshConfig(it)) => self.mesh_config_conflicts(&it.meta),
            // Rules for one host are merged; refusals add up.
            Some(Policy::DestinationRule(_) | Policy::RefuseAll(_) | Policy::Inert(_)) | None => {
                Vec::new()
            }
        }
    }

    fn route_conflicts(&self, route: &VirtualService) -> Vec<Problem> {
        if !route.mesh {
            return Vec::new();
        }
        let loses = |(index, host)| {
            let winner = self
                .mesh_routes()
                .filter(|other| other.meta.age_key() < route.meta.age_key())
                .filter(|other| other.hosts.contains(host))
                .min_by_key(|other| other.meta.age_key())?;
            Some(Problem {
                object: route.meta.object.clone(),
                field: format!("spec.hosts[{index}]"),
                severity: Severity::NotEnforced,
                code: CONFLICT,
                reason: format!("`{host}` is routed by the older {}", winner.meta.object),
                remedy: "put the rules into one object: rules of several are not merged".to_owned(),
            })
        };
        route.hosts.iter().enumerate().filter_map(loses).collect()
    }

    fn peer_conflicts(&self, policy: &PeerAuthentication) -> Vec<Problem> {
        let problem = |code, field: &str, reason, remedy: &str| Problem {
            object: policy.meta.object.clone(),
            field: field.to_owned(),
            severity: Severity::NotEnforced,
            code,
            reason,
            remedy: remedy.to_owned(),
        };
        let Some(level) = self.level(policy) else {
            let reason = format!(
                "a selector in the mesh-wide namespace {} selects nothing",
                self.settings.root_namespace
            );
            let remedy = "leave the selector out, or move the object to the workload's namespace";
            return vec![problem(IGNORED, "spec.selector", reason, remedy)];
        };
        let older = self
            .peer_authentications()
            .filter(|other| self.level(other) == Some(level))
            .filter(|other| other.meta.age_key() < policy.meta.age_key())
            .filter(|other| match level {
                Level::Mesh => true,
                Level::Namespace => other.meta.object.namespace == policy.meta.object.namespace,
                Level::Workload => self
                    .workloads
                    .values()
                    .any(|it| self.speaks_to(policy, it) && self.speaks_to(other, it)),
            })
            .min_by_key(|other| other.meta.age_key());
        let Some(older) = older else {
            return Vec::new();
        };
        let reason = format!(
            "the older {} decides for the same workloads",
            older.meta.object
        );
        vec![problem(CONFLICT, "", reason, "keep one of the two")]
    }

    fn mesh_config_conflicts(&self, meta: &PolicyMeta) -> Vec<Problem> {
        let mut problems = Vec::new();
        let problem = |field: &str, code, reason, remedy: &str| Problem {
            object: meta.object.clone(),
            field: field.to_owned(),
            severity: Severity::NotEnforced,
            code,
            reason,
            remedy: remedy.to_owned(),
        };
        if let Some(source) = &self.settings.source
            && source.object != meta.object
        {
            let reason = format!("the older {} holds the mesh's settings", source.object);
            problems.push(problem("", CONFLICT, reason, "keep one of the two"));
        } else if self.settings.trust_domain != self.trust_domain {
            let reason = format!(
                "the mesh was started with the trust domain {}; identities of another would be strangers to it",
                self.trust_domain
            );
            let remedy = "start the mesh anew for another trust domain";
            problems.push(problem(
                "spec.trustDomain",
                "TrustDomainChanged",
                reason,
                remedy,
            ));
        }
        problems
    }
}
