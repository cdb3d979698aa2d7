//! Follows each edit until every proxy that needs it enforces it, and remembers what was said.
//!
//! Pure: time is an argument. A line is said once, when the last proxy has acknowledged; where one does not, its name is
//! said after [`PATIENCE`], and the end when it comes.

use super::text;
use serde::Serialize;
use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};
use tokio::time::Instant;
use weft_model::workload::WorkloadName;

/// After this an edit that is not enforced everywhere is said to be not.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that are remembered.
const REMEMBERED: usize = 500;
/// Edits that are followed at once; of more, the oldest are no longer.
const FOLLOWED: usize = 100;

/// Something that was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Counted from one.
    pub seq: u64,
    /// When, in milliseconds since 1970.
    pub at_unix_ms: u64,
    /// What.
    pub text: String,
}

#[derive(Debug)]
struct Followed {
    title: String,
    began: Instant,
    needed: usize,
    waiting: BTreeSet<WorkloadName>,
    impatient: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Journal {
    last: u64,
    events: VecDeque<Event>,
    followed: VecDeque<Followed>,
}

impl Journal {
    /// Says something.
    pub fn say(&mut self, text: String, at_unix_ms: u64) -> Event {
        self.last += 1;
        let event = Event {
            seq: self.last,
            at_unix_ms,
            text,
        };
        self.events.push_back(event.clone());
        if self.events.len() > REMEMBERED {
            self.events.pop_front();
        }
        event
    }

    /// What was said after `seq`.
    #[must_use]
    pub fn since(&self, seq: u64) -> Vec<Event> {
        self.events
            .iter()
            .filter(|it| it.seq > seq)
            .cloned()
            .collect()
    }

    /// Follows an edit that `waiting` proxies of `needed` must still acknowledge. Gives the line to say if there are none.
    pub fn follow(
        &mut self,
        title: String,
        began: Instant,
        now: Instant,
        needed: usize,
        waiting: BTreeSet<WorkloadName>,
    ) -> Option<String> {
        if waiting.is_empty() {
            return Some(text::enforced(&title, needed, now.duration_since(began)));
        }
        self.followed.push_back(Followed {
            title,
            began,
            needed,
            waiting,
            impatient: false,
        });
        if self.followed.len() > FOLLOWED {
            self.followed.pop_front();
        }
        None
    }

    /// `workload` enforces everything it should. Gives the lines to say and how long each took.
    pub fn settled(&mut self, workload: &WorkloadName, now: Instant) -> Vec<(String, Duration)> {
        for edit in &mut self.followed {
            edit.waiting.remove(workload);
        }
        self.finish(now)
    }

    /// `workload` is gone: nobody waits for it any more.
    pub fn gone(&mut self, workload: &WorkloadName, now: Instant) -> Vec<(String, Duration)> {
        for edit in &mut self.followed {
            if edit.waiting.remove(workload) {
                edit.needed -= 1;
            }
        }
        self.finish(now)
    }

    fn finish(&mut self, now: Instant) -> Vec<(String, Duration)> {
        let mut lines = Vec::new();
        self.followed.retain(|edit| {
            let took = now.duration_since(edit.began);
            if edit.waiting.is_empty() {
                lines.push((text::enforced(&edit.title, edit.needed, took), took));
            }
            !edit.waiting.is_empty()
        });
        lines
    }

    /// Lines about edits that some proxy does not enforce after [`PATIENCE`].
    pub fn impatient(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        for edit in &mut self.followed {
            let waited = now.duration_since(edit.began);
            if !edit.impatient && waited >= PATIENCE {
                edit.impatient = true;
                lines.push(text::not_enforced(
                    &edit.title,
                    edit.needed,
                    &edit.waiting,
                    waited,
                ));
            }
        }
        lines
    }

    /// When [`Self::impatient`] has something to say next.
    #[must_use]
    pub fn next_impatience(&self) -> Option<Instant> {
        self.followed
            .iter()
            .filter(|it| !it.impatient)
            .map(|it| it.began + PATIENCE)
            .min()
    }

    /// The workloads that somebody waits for.
    #[must_use]
    pub fn waited_for(&self) -> BTreeSet<WorkloadName> {
        self.followed
            .iter()
            .flat_map(|it| &it.waiting)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workloads(names: &[&str]) -> BTreeSet<WorkloadName> {
        names
            .iter()
            .map(|it| format!("shop/{it}").parse().unwrap())
            .collect()
    }

    fn workload(name: &str) -> WorkloadName {
        format!("shop/{name}").parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_is_said_when_the_last_proxy_has_it() {
        let mut journal = Journal::default();
        let now = Instant::now();
        let later = now + Duration::from_millis(84);
        assert_eq!(
            journal.follow("edit".to_owned(), now, now, 3, workloads(&["a", "b"])),
            None
        );
        assert!(journal.settled(&workload("a"), now).is_empty());
        let lines = journal.settled(&workload("b"), later);
        assert_eq!(lines[0].0, "edit: enforced by 3/3 proxies in 84 ms");
        assert!(journal.impatient(now + PATIENCE).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_that_nobody_needs_is_said_at_once() {
        let mut journal = Journal::default();
        let now = Instant::now();
        let line = journal.follow("edit".to_owned(), now, now, 0, BTreeSet::new());
        assert_eq!(line.as_deref(), Some("edit: no proxy needs it yet"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_named_once() {
        let mut journal = Journal::default();
        let now = Instant::now();
        journal.follow("edit".to_owned(), now, now, 12, workloads(&["web-0"]));
        assert_eq!(journal.next_impatience(), Some(now + PATIENCE));
        let lines = journal.impatient(now + PATIENCE);
        assert_eq!(
            lines,
            ["edit: enforced by 11/12 proxies after 5.0 s; not yet by shop/web-0"]
        );
        assert!(journal.impatient(now + PATIENCE * 2).is_empty());
        let lines = journal.gone(&workload("web-0"), now + PATIENCE * 2);
        assert_eq!(lines[0].0, "edit: enforced by 11/11 proxies in 10.0 s");
    }

    #[test]
    fn what_was_said_is_remembered_in_order() {
        let mut journal = Journal::default();
        for number in 0..REMEMBERED + 10 {
            journal.say(number.to_string(), 0);
        }
        assert_eq!(journal.since(0).len(), REMEMBERED);
        let last = journal.since(u64::try_from(REMEMBERED).unwrap() + 9);
        assert_eq!(last.len(), 1);
        assert_eq!(last[0].text, (REMEMBERED + 9).to_string());
    }
}
