//! What should run against what runs: the difference, as values.
//!
//! Place: the supervisor asks for it at start and after each change of the folder. Pure.
//! Invariants: an instance is restarted only when its own workload changed; scaling touches only
//! the instances at the end; a Service that comes or goes restarts nobody (as in Kubernetes, its
//! variables are seen by whoever starts later).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::manifests::Manifests;
use super::workload::Workload;

/// An instance: what is a pod on Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for InstanceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The instances that the manifests ask for.
pub fn desired(manifests: &Manifests) -> BTreeMap<InstanceKey, Arc<Workload>> {
    let mut instances = BTreeMap::new();
    for workload in manifests.workloads.values() {
        let workload = Arc::new(workload.clone());
        for index in 0..workload.replicas {
            let key = InstanceKey {
                namespace: workload.namespace.clone(),
                name: workload.instance(index),
            };
            // A Pod may have the name of an instance: the first stays.
            instances
                .entry(key)
                .or_insert_with(|| Arc::clone(&workload));
        }
    }
    instances
}

/// What to do to get from one set of instances to another.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Steps {
    /// Instances to start.
    pub start: Vec<InstanceKey>,
    /// Instances to stop for good.
    pub stop: Vec<InstanceKey>,
    /// Instances to stop and start anew, one of a workload after the other.
    pub replace: Vec<InstanceKey>,
}

/// Compares by what would make the process another one; the number of replicas does not.
pub fn steps(
    running: &BTreeMap<InstanceKey, Arc<Workload>>,
    wanted: &BTreeMap<InstanceKey, Arc<Workload>>,
) -> Steps {
    let mut steps = Steps::default();
    for (key, workload) in wanted {
        match running.get(key) {
            None => steps.start.push(key.clone()),
            Some(old) if !same_process(old, workload) => steps.replace.push(key.clone()),
            Some(_) => {}
        }
    }
    let gone = running.keys().filter(|key| !wanted.contains_key(key));
    steps.stop.extend(gone.cloned());
    steps
}

/// Whether both run the same process; the number of replicas is no part of it.
pub fn same_process(old: &Workload, new: &Workload) -> bool {
    let old = Workload {
        replicas: new.replicas,
        ..old.clone()
    };
    old == *new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::manifests::tests::read;

    fn deployment(name: &str, replicas: u32, command: &str) -> String {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec: {{replicas: \
             {replicas}, template: {{metadata: {{labels: {{app: {name}}}}}, spec: {{containers: \
             [{{name: a, command: [{command}]}}]}}}}}}\n"
        )
    }

    #[track_caller]
    fn check(before: &[String], after: &[String], expected: [&[&str]; 3]) {
        let plan = |files: &[String]| {
            let mut manifests = read(&files.concat());
            for workload in manifests.workloads.values_mut() {
                workload.folder = "/one/for/all".into();
            }
            desired(&manifests)
        };
        let steps = steps(&plan(before), &plan(after));
        let names = |keys: &[InstanceKey]| -> Vec<String> {
            keys.iter().map(|key| key.name.clone()).collect()
        };
        let found = [
            names(&steps.start),
            names(&steps.stop),
            names(&steps.replace),
        ];
        assert_eq!(found, expected.map(|names| names.to_vec()));
    }

    #[test]
    fn only_what_changed_is_touched() {
        let (a1, a2, a3) = (
            deployment("a", 1, "x"),
            deployment("a", 2, "x"),
            deployment("a", 3, "x"),
        );
        let other = deployment("a", 2, "z");
        let b = deployment("b", 1, "x");
        check(
            &[],
            &[a2.clone(), b.clone()],
            [&["a-0", "a-1", "b-0"], &[], &[]],
        );
        check(
            std::slice::from_ref(&a1),
            &[a3],
            [&["a-1", "a-2"], &[], &[]],
        );
        check(&[a2.clone(), b.clone()], &[a1, b], [&[], &["a-1"], &[]]);
        check(
            std::slice::from_ref(&a2),
            &[other],
            [&[], &[], &["a-0", "a-1"]],
        );
        check(&[a2], &[], [&[], &["a-0", "a-1"], &[]]);
    }
}
