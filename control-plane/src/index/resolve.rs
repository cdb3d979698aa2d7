//! References: does what an object names exist, and is its latest generation in force?
//!
//! An object whose references do not resolve is held: what was accepted before stays. One that was accepted already and
//! whose references broke since (a subset in use was deleted) stays in force, and its broken destinations answer 503.

use super::{Accepted, Affected, Entry, Index, Outcome, affected::destinations};
use std::collections::BTreeSet;
use weft_model::{
    host::{Host, HostPattern},
    policy::{Destination, DestinationRule, Policy, VirtualService},
    problem::{Problem, Severity},
    source::ObjectRef,
};

/// Reasons of the condition `ResolvedRefs=False`.
mod codes {
    /// A host that no Service has.
    pub(super) const HOST_NOT_FOUND: &str = "HostNotFound";
    /// A subset that no DestinationRule defines.
    pub(super) const SUBSET_NOT_FOUND: &str = "SubsetNotFound";
    /// A port that the Service does not have.
    pub(super) const PORT_NOT_FOUND: &str = "PortNotFound";
    /// A destination with several ports and none said.
    pub(super) const PORT_REQUIRED: &str = "PortRequired";
}

/// Letters that may differ for a name to be suggested.
const SUGGEST_WITHIN: usize = 2;

impl Index {
    /// Decides anew which generations are in force: of the objects that were `named` and of those that refer to what is
    /// affected. Rules come first, since routes refer to their subsets.
    pub(super) fn accept(&mut self, named: &BTreeSet<ObjectRef>, outcome: &mut Outcome) {
        let (routes, others): (Vec<ObjectRef>, Vec<ObjectRef>) = self
            .objects
            .keys()
            .cloned()
            .partition(|object| self.is_route(object));
        for object in others {
            if named.contains(&object) || self.refers_to(&object, &outcome.affected) {
                self.accept_one(&object, named, outcome);
            }
        }
        for object in routes {
            if named.contains(&object) || self.refers_to(&object, &outcome.affected) {
                self.accept_one(&object, named, outcome);
            }
        }
    }

    fn is_route(&self, object: &ObjectRef) -> bool {
        self.objects.get(object).is_some_and(|entry| {
            matches!(
                entry.latest.translated.value,
                Some(Policy::VirtualService(_))
            )
        })
    }

    fn refers_to(&self, object: &ObjectRef, affected: &Affected) -> bool {
        let Some(entry) = self.objects.get(object) else {
            return false;
        };
        match &entry.latest.translated.value {
            Some(Policy::VirtualService(it)) => {
                let hosts = it.hosts.iter();
                destinations(it).any(|host| affected.hosts.contains(host))
                    || hosts
                        .into_iter()
                        .any(|host| affected.hosts.iter().any(|it| host.covers(it)))
            }
            Some(Policy::DestinationRule(it)) => {
                affected.hosts.iter().any(|host| it.host.covers(host))
            }
            Some(
                Policy::PeerAuthentication(_)
                | Policy::RefuseAll(_)
                | Policy::MeshConfig(_)
                | Policy::Inert(_),
            )
            | None => false,
        }
    }

    fn accept_one(
        &mut self,
        object: &ObjectRef,
        named: &BTreeSet<ObjectRef>,
        outcome: &mut Outcome,
    ) {
        let Some(entry) = self.objects.get(object) else {
            return;
        };
        let unresolved = self.unresolved(entry);
        let blocked = unresolved
            .iter()
            .any(|problem| problem.severity == Severity::Held);
        let next = match &entry.latest.translated.value {
            Some(policy) if !blocked && !is_same(entry, policy) => Some(Accepted {
                policy: policy.clone(),
                manifest: entry.latest.manifest.clone(),
            }),
            Some(_) | None => None,
        };
        let broken = unresolved.iter().any(|it| it.severity != Severity::Warning)
            && entry.unresolved != unresolved;
        if let Some(next) = &next {
            let previous = entry.in_force.clone();
            self.policy_affected(previous.as_ref(), &mut outcome.affected);
            self.policy_affected(Some(next), &mut outcome.affected);
        }
        if !named.contains(object) {
            if next.is_some() {
                outcome.released.insert(object.clone());
            } else if broken {
                outcome.broken.insert(object.clone());
            }
        }
        outcome.accepted_changed |= next.is_some();
        if let Some(entry) = self.objects.get_mut(object) {
            entry.unresolved = unresolved;
            if next.is_some() {
                entry.in_force = next;
            }
        }
    }

    /// References of the latest generation that lead nowhere. `Held` while that generation is not in force; once it is,
    /// the rest of it works on.
    fn unresolved(&self, entry: &Entry) -> Vec<Problem> {
        let mut found = match &entry.latest.translated.value {
            Some(Policy::VirtualService(it)) => self.unresolved_route(it),
            Some(Policy::DestinationRule(it)) => self.unresolved_rule(it),
            Some(
                Policy::PeerAuthentication(_)
                | Policy::RefuseAll(_)
                | Policy::MeshConfig(_)
                | Policy::Inert(_),
            )
            | None => Vec::new(),
        };
        if entry.is_current() {
            for problem in &mut found {
                if problem.severity == Severity::Held {
                    problem.severity = Severity::NotEnforced;
                    problem.reason.push_str("; it was there when the object was accepted, requests that go there get 503");
                }
            }
        }
        found
    }

    fn unresolved_rule(&self, rule: &DestinationRule) -> Vec<Problem> {
        match &rule.host {
            HostPattern::Exact(host) if !self.services.contains_key(host) => {
                vec![self.host_problem(
                    &rule.meta.object,
                    "spec.host".to_owned(),
                    host,
                    Severity::Held,
                )]
            }
            HostPattern::Exact(_) | HostPattern::Suffix(_) | HostPattern::Any => Vec::new(),
        }
    }

    fn unresolved_route(&self, route: &VirtualService) -> Vec<Problem> {
        if !route.mesh {
            return Vec::new();
        }
        let object = &route.meta.object;
        let mut problems = Vec::new();
        for (index, pattern) in route.hosts.iter().enumerate() {
            if let HostPattern::Exact(host) = pattern
                && !self.services.contains_key(host)
            {
                let field = format!("spec.hosts[{index}]");
                problems.push(self.host_problem(object, field, host, Severity::Warning));
            }
        }
        for rule in &route.http {
            for destination in &rule.destinations {
                let field = format!(
                    "spec.http[{}].route[{}].destination",
                    rule.index, destination.index
                );
                problems.extend(self.unresolved_destination(route, destination, &field));
            }
        }
        problems
    }

    fn unresolved_destination(
        &self,
        route: &VirtualService,
        destination: &Destination,
        field: &str,
    ) -> Option<Problem> {
        let object = &route.meta.object;
        let held = |part: &str, code, reason, remedy| Problem {
            object: object.clone(),
            field: format!("{field}.{part}"),
            severity: Severity::Held,
            code,
            reason,
            remedy,
        };
        let host = &destination.host;
        let Some(service) = self.services.get(host) else {
            let field = format!("{field}.host");
            return Some(self.host_problem(object, field, host, Severity::Held));
        };
        let ports: Vec<String> = service.ports.iter().map(|it| it.port.to_string()).collect();
        let ports = ports.join(", ");
        match destination.port {
            Some(port) if service.port(port).is_none() => {
                let reason = format!("Service {} has no port {port}", service.name);
                let remedy = format!("name one of its ports: {ports}");
                return Some(held("port.number", codes::PORT_NOT_FOUND, reason, remedy));
            }
            None if service.ports.len() > 1 && !self.shares_port(route, host) => {
                let reason = format!(
                    "Service {} has the ports {ports}, and none of them is a port of the hosts that this object routes",
                    service.name
                );
                let remedy = "say which one with `port: {number: ...}`".to_owned();
                return Some(held("port", codes::PORT_REQUIRED, reason, remedy));
            }
            Some(_) | None => {}
        }
        let subset = destination.subset.as_ref()?;
        let known = self.subsets_for_route(&object.namespace, host);
        if known.contains(subset) {
            return None;
        }
        let reason = format!("no DestinationRule for {host} defines the subset `{subset}`");
        let remedy = if known.is_empty() {
            format!(
                "add a DestinationRule in namespace {} with that subset",
                service.name.namespace
            )
        } else {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            format!("define it beside {}, or correct the name", known.join(", "))
        };
        Some(held("subset", codes::SUBSET_NOT_FOUND, reason, remedy))
    }

    /// The subsets that a route of `namespace` may name: those that clients see there, and those that all others see.
    fn subsets_for_route(&self, namespace: &str, host: &Host) -> BTreeSet<String> {
        let own = self
            .services
            .get(host)
            .map(|it| it.name.namespace.clone())
            .unwrap_or_default();
        [namespace, own.as_str()]
            .into_iter()
            .filter_map(|client| self.rule(client, host))
            .flat_map(|rule| rule.subsets)
            .map(|subset| subset.name)
            .collect()
    }

    /// Whether a port that is addressed through `route` is also a port of `destination`.
    fn shares_port(&self, route: &VirtualService, destination: &Host) -> bool {
        let Some(destination) = self.services.get(destination) else {
            return false;
        };
        self.services
            .iter()
            .filter(|(host, _)| route.hosts.iter().any(|pattern| pattern.covers(host)))
            .flat_map(|(_, service)| &service.ports)
            .any(|port| destination.port(port.port).is_some())
    }

    fn host_problem(
        &self,
        object: &ObjectRef,
        field: String,
        host: &Host,
        severity: Severity,
    ) -> Problem {
        let verbatim = self.services.keys().find(|it| {
            it.as_str()
                .strip_prefix(host.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        });
        let near = self
            .services
            .keys()
            .map(|it| (distance(it.as_str(), host.as_str()), it))
            .filter(|(distance, _)| *distance <= SUGGEST_WITHIN)
            .min();
        let remedy = match (verbatim, near) {
            (Some(full), _) => {
                format!("a name with a dot is taken as it stands: write `{full}`")
            }
            (None, Some((_, near))) => format!("did you mean `{near}`? Else add the Service"),
            (None, None) => "add the Service, or correct the name".to_owned(),
        };
        Problem {
            object: object.clone(),
            field,
            severity,
            code: codes::HOST_NOT_FOUND,
            reason: format!("there is no Service `{host}`"),
            remedy,
        }
    }
}

/// Whether the policy is what is in force already.
fn is_same(entry: &Entry, policy: &Policy) -> bool {
    entry
        .in_force
        .as_ref()
        .is_some_and(|it| it.policy == *policy)
}

/// How many letters must be inserted, dropped or replaced to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > SUGGEST_WITHIN {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (line, a) in one.chars().enumerate() {
        let mut next = vec![line + 1];
        let mut left = line + 1;
        for ((b, above), corner) in other.chars().zip(row.iter().skip(1)).zip(row.iter()) {
            let replaced = corner + usize::from(a != b);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}
