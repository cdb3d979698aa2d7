//! A stream of whole listings becomes changes: what is there, differs, or is gone.
//!
//! Place: `source -> watch -> index`. Every kind has the same three methods: apply one, delete one, or reset the lot and
//! let the difference tell. A folder resets with each reading; Kubernetes' reflectors will reset once and then apply and
//! delete.

use crate::source::Change;
use std::collections::BTreeMap;

/// A kind whose objects are watched.
pub trait Watched: PartialEq + Clone {
    /// What names an object of it.
    type Key: Ord + Clone;
    /// It is there, or differs.
    fn applied(self) -> Change;
    /// It is gone.
    fn deleted(key: Self::Key) -> Change;
}

/// What was last seen of a kind.
#[derive(Debug)]
pub struct Kind<T: Watched> {
    seen: BTreeMap<T::Key, T>,
}

impl<T: Watched> Default for Kind<T> {
    fn default() -> Self {
        Self {
            seen: BTreeMap::new(),
        }
    }
}

impl<T: Watched> Kind<T> {
    /// An object is there. None: as it was.
    pub fn apply(&mut self, key: T::Key, value: T) -> Option<Change> {
        if self.seen.get(&key) == Some(&value) {
            return None;
        }
        self.seen.insert(key, value.clone());
        Some(value.applied())
    }

    /// An object is gone. None: it was not there.
    pub fn delete(&mut self, key: &T::Key) -> Option<Change> {
        self.seen.remove(key).map(|_| T::deleted(key.clone()))
    }

    /// These are all there are. Those that are gone come first.
    pub fn reset(&mut self, listing: BTreeMap<T::Key, T>) -> Vec<Change> {
        let gone: Vec<T::Key> = self
            .seen
            .keys()
            .filter(|key| !listing.contains_key(key))
            .cloned()
            .collect();
        let mut changes: Vec<Change> = gone.iter().filter_map(|key| self.delete(key)).collect();
        changes.extend(
            listing
                .into_iter()
                .filter_map(|(key, value)| self.apply(key, value)),
        );
        changes
    }
}

mod kinds {
    use super::Watched;
    use crate::source::{Change, EndpointSet, PolicyObject, Service, ServiceName, Workload};
    use weft_model::{source::ObjectRef, workload::WorkloadName};

    impl Watched for Service {
        type Key = ServiceName;
        fn applied(self) -> Change {
            Change::ApplyService(self)
        }
        fn deleted(key: ServiceName) -> Change {
            Change::DeleteService(key)
        }
    }

    impl Watched for Workload {
        type Key = WorkloadName;
        fn applied(self) -> Change {
            Change::ApplyWorkload(self)
        }
        fn deleted(key: WorkloadName) -> Change {
            Change::DeleteWorkload(key)
        }
    }

    impl Watched for EndpointSet {
        type Key = ServiceName;
        fn applied(self) -> Change {
            Change::ApplyEndpoints(self)
        }
        fn deleted(key: ServiceName) -> Change {
            Change::DeleteEndpoints(key)
        }
    }

    impl Watched for PolicyObject {
        type Key = ObjectRef;
        fn applied(self) -> Change {
            Change::ApplyPolicy(Box::new(self))
        }
        fn deleted(key: ObjectRef) -> Change {
            Change::DeletePolicy(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{EndpointSet, ServiceName};

    #[test]
    fn a_listing_becomes_its_difference() {
        let name = |name: &str| ServiceName {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
        };
        let set = |it: &str, ports: &[u16]| EndpointSet {
            service: name(it),
            ports: ports.iter().map(|port| (*port, Vec::new())).collect(),
        };
        let listing = |sets: &[EndpointSet]| -> BTreeMap<ServiceName, EndpointSet> {
            sets.iter()
                .map(|it| (it.service.clone(), it.clone()))
                .collect()
        };
        let mut kind = Kind::default();
        assert_eq!(
            kind.reset(listing(&[set("a", &[]), set("b", &[])])).len(),
            2
        );
        let changes = kind.reset(listing(&[set("b", &[1]), set("c", &[])]));
        assert_eq!(
            changes,
            [
                Change::DeleteEndpoints(name("a")),
                Change::ApplyEndpoints(set("b", &[1])),
                Change::ApplyEndpoints(set("c", &[])),
            ]
        );
        assert!(
            kind.reset(listing(&[set("b", &[1]), set("c", &[])]))
                .is_empty()
        );
    }
}
