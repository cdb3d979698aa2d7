//! Which DestinationRules hold towards a host, for clients of one namespace, and what they say together.
//!
//! Source: Istio's look-up path (client's namespace, the Service's, the root namespace; the first that has a rule for the
//! host decides alone; in it the most specific pattern) and its merge of rules for one host in one namespace (subsets
//! united, the first of a name wins; the first top-level policy wins; oldest first).

use super::Index;
use weft_model::{
    Labels,
    host::Host,
    policy::{DestinationRule, Policy, Subset, TrafficPolicy},
    source::SourceRef,
};

/// The rules that hold, merged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MergedRule {
    /// The host's policy.
    pub traffic: TrafficPolicy,
    /// Subsets, by order of appearance.
    pub subsets: Vec<Subset>,
    /// The rules that took part, the oldest first.
    pub sources: Vec<SourceRef>,
}

impl MergedRule {
    /// The labels and policy of a subset: its own blocks over the host's.
    #[must_use]
    pub fn subset(&self, name: &str) -> Option<(&Labels, TrafficPolicy)> {
        let subset = self.subsets.iter().find(|it| it.name == name)?;
        let traffic = TrafficPolicy {
            load_balance: subset.traffic.load_balance.or(self.traffic.load_balance),
            tls: subset.traffic.tls.or(self.traffic.tls),
        };
        Some((&subset.labels, traffic))
    }
}

impl Index {
    pub(super) fn rules(&self) -> impl Iterator<Item = &DestinationRule> {
        self.in_force().filter_map(|policy| match policy {
            Policy::DestinationRule(it) => Some(it),
            Policy::VirtualService(_)
            | Policy::PeerAuthentication(_)
            | Policy::RefuseAll(_)
            | Policy::MeshConfig(_)
            | Policy::Inert(_) => None,
        })
    }

    /// The rules that hold towards `host` for clients in `client_namespace`.
    #[must_use]
    pub fn rule(&self, client_namespace: &str, host: &Host) -> Option<MergedRule> {
        let service = self.services.get(host).map(|it| it.name.namespace.as_str());
        let root = self.settings.root_namespace.as_str();
        [Some(client_namespace), service, Some(root)]
            .into_iter()
            .flatten()
            .find_map(|namespace| self.rule_in(namespace, host))
    }

    /// The rules of one namespace for `host`.
    #[must_use]
    pub fn rule_in(&self, namespace: &str, host: &Host) -> Option<MergedRule> {
        let covering = || {
            self.rules()
                .filter(|rule| rule.meta.object.namespace == namespace && rule.host.covers(host))
        };
        let specificity = covering().map(|rule| rule.host.specificity()).max()?;
        let mut best: Vec<&DestinationRule> = covering()
            .filter(|rule| rule.host.specificity() == specificity)
            .collect();
        best.sort_by_key(|rule| rule.meta.age_key());
        let mut merged = MergedRule::default();
        for rule in best {
            if merged.traffic == TrafficPolicy::default() {
                merged.traffic = rule.traffic.clone();
            }
            for subset in &rule.subsets {
                if !merged.subsets.iter().any(|it| it.name == subset.name) {
                    merged.subsets.push(subset.clone());
                }
            }
            merged.sources.push(rule.meta.source());
        }
        Some(merged)
    }
}
