//! Replaces the instances of a changed workload one after the other, so that it goes on serving.
//!
//! Pure: time is an argument.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::plan::InstanceKey;

/// An instance that is not ready by then does not hold up the others for ever: they would go on
/// with what the user has already replaced.
const PATIENCE: Duration = Duration::from_secs(15);

/// The workloads that are being replaced.
#[derive(Debug, Default)]
pub struct Rollouts {
    waiting: BTreeMap<String, VecDeque<InstanceKey>>,
    current: BTreeMap<String, (InstanceKey, Instant)>,
}

impl Rollouts {
    /// Queues an instance of `workload`, unless it waits already.
    pub fn add(&mut self, workload: &str, key: InstanceKey) {
        let queue = self.waiting.entry(workload.to_owned()).or_default();
        if !queue.contains(&key) {
            queue.push_back(key);
        }
    }

    /// The instances to replace now: one of each workload, once the one before is ready.
    pub fn next(&mut self, now: Instant, ready: impl Fn(&InstanceKey) -> bool) -> Vec<InstanceKey> {
        self.current
            .retain(|_, (key, since)| !ready(key) && now.duration_since(*since) < PATIENCE);
        let mut next = Vec::new();
        for (workload, queue) in &mut self.waiting {
            if self.current.contains_key(workload) {
                continue;
            }
            if let Some(key) = queue.pop_front() {
                self.current.insert(workload.clone(), (key.clone(), now));
                next.push(key);
            }
        }
        self.waiting.retain(|_, queue| !queue.is_empty());
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_instance_of_a_workload_is_replaced_at_a_time() {
        let key = |name: &str| InstanceKey {
            namespace: "n".to_owned(),
            name: name.to_owned(),
        };
        let now = Instant::now();
        let mut rollouts = Rollouts::default();
        for name in ["a-0", "a-1", "a-1", "a-2"] {
            rollouts.add("n/a", key(name));
        }
        rollouts.add("n/b", key("b-0"));
        assert_eq!(rollouts.next(now, |_| false), [key("a-0"), key("b-0")]);
        assert_eq!(rollouts.next(now, |_| false), []);
        assert_eq!(rollouts.next(now, |k| *k == key("a-0")), [key("a-1")]);
        let later = now + PATIENCE;
        assert_eq!(rollouts.next(later, |_| false), [key("a-2")]);
        assert_eq!(rollouts.next(later, |_| true), []);
    }
}
