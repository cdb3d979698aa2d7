//! What the hub's state says to people: problems with their places, statuses, who must still acknowledge.

use super::State;
use crate::{
    index::Accepted,
    run_folder::StoredGeneration,
    source::{
        folder::FileProblem,
        laptop::{Edit, Verb},
    },
    status::{PolicyStatus, text},
};
use std::{collections::BTreeSet, sync::Arc};
use weft_model::{
    problem::{Problem, Severity},
    source::ObjectRef,
    workload::WorkloadName,
};

impl State {
    /// Looks again at what each proxy should enforce. Gives those for which that differs and is not acknowledged.
    pub(super) fn refresh_proxies(&mut self) -> BTreeSet<WorkloadName> {
        let mut differs = BTreeSet::new();
        for (workload, record) in self.proxies.iter_mut() {
            if record.refresh(&mut self.snapshot.view(&self.index, workload)) {
                differs.insert(workload.clone());
            }
        }
        differs
    }

    /// Forgets proxies whose workload is gone. Gives those that somebody waits for.
    pub(super) fn forget_gone(&mut self) -> Vec<WorkloadName> {
        let index = &self.index;
        self.proxies
            .retain(|workload| index.workload(workload).is_some());
        let waited = self.journal.waited_for();
        waited
            .into_iter()
            .filter(|it| self.index.workload(it).is_none())
            .collect()
    }

    pub(super) fn is_kept_back(&self, edit: &Edit) -> bool {
        edit.verb != Verb::Removed
            && self
                .index
                .object(&edit.object)
                .is_some_and(|entry| !entry.is_current())
    }

    pub(super) fn why_kept_back(&self, object: &ObjectRef) -> String {
        let worst = self
            .index
            .problems(object)
            .iter()
            .map(|it| it.severity)
            .max();
        let in_force = self
            .index
            .object(object)
            .and_then(|it| it.in_force.as_ref());
        text::not_accepted(
            worst.unwrap_or(Severity::Held),
            in_force.map(Accepted::generation),
        )
    }

    /// Says the problems of these objects that have not been said.
    pub(super) fn say_problems(&mut self, objects: &BTreeSet<ObjectRef>, lines: &mut Vec<String>) {
        for object in objects {
            let problems = self.index.problems(object);
            let said = self
                .said
                .insert(object.clone(), problems.clone())
                .unwrap_or_default();
            for problem in problems.iter().filter(|it| !said.contains(it)) {
                lines.push(text::problem(&self.located(problem)));
            }
        }
        let index = &self.index;
        self.said.retain(|object, _| index.object(object).is_some());
    }

    /// Says what is newly wrong in files, and in which nothing is wrong any more.
    pub(super) fn say_file_problems(
        &mut self,
        problems: Vec<FileProblem>,
        edits: &[Edit],
        lines: &mut Vec<String>,
    ) {
        for problem in problems.iter().filter(|it| !self.problems.contains(it)) {
            lines.push(text::problem(problem));
        }
        let files = |problems: &[FileProblem]| -> BTreeSet<Arc<str>> {
            problems.iter().map(|it| Arc::clone(&it.file)).collect()
        };
        let still = files(&problems);
        for file in files(&self.problems) {
            if !still.contains(&file) && !edits.iter().any(|edit| edit.file == file) {
                lines.push(text::mended(&file));
            }
        }
        self.problems = problems;
    }

    pub(super) fn located(&self, problem: &Problem) -> FileProblem {
        let origin = self
            .index
            .object(&problem.object)
            .map(|entry| &entry.latest.origin);
        FileProblem {
            file: origin.map(|it| Arc::clone(&it.file)).unwrap_or_default(),
            line: origin.map_or(0, |it| it.lines.line(&problem.field)),
            object: Some(problem.object.clone()),
            field: problem.field.clone(),
            severity: problem.severity,
            code: problem.code,
            reason: problem.reason.clone(),
            remedy: problem.remedy.clone(),
        }
    }

    pub(super) fn policy_status(&self, object: &ObjectRef) -> PolicyStatus {
        let entry = self.index.object(object);
        let generation = entry.map_or(0, |it| it.latest.generation);
        let mut problems: Vec<FileProblem> = self
            .index
            .problems(object)
            .iter()
            .map(|it| self.located(it))
            .collect();
        if let Some(entry) = entry {
            let file = &entry.latest.origin.file;
            let unreadable = |it: &&FileProblem| it.object.is_none() && it.file == *file;
            problems.extend(self.problems.iter().filter(unreadable).cloned());
            problems.extend(
                self.problems
                    .iter()
                    .filter(|it| it.object.as_ref() == Some(object))
                    .cloned(),
            );
        }
        for (workload, resource, rejected) in self.proxies.rejections(object) {
            problems.push(self.located(&Problem {
                object: object.clone(),
                field: String::new(),
                severity: Severity::NotEnforced,
                code: "Rejected",
                reason: format!(
                    "the proxy of {workload} refuses {resource}: {}: {}",
                    rejected.field, rejected.reason
                ),
                remedy: "it keeps what it had; bring proxy and controller to one version, and report this".to_owned(),
            }));
        }
        let tally = self.proxies.tally(object, generation);
        PolicyStatus {
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            generation,
            accepted: entry.is_some_and(crate::index::Entry::is_current),
            resolved_refs: entry.is_none_or(|it| {
                it.unresolved
                    .iter()
                    .all(|problem| problem.severity == Severity::Warning)
            }),
            programmed: tally.programmed,
            needed: tally.needed,
            problems,
        }
    }

    /// The accepted generations, to be kept.
    pub(super) fn stored(&self) -> Vec<StoredGeneration> {
        self.index
            .objects()
            .filter_map(|(_, entry)| entry.in_force.as_ref())
            .map(|accepted| StoredGeneration {
                generation: accepted.generation(),
                created: accepted.policy.meta().created,
                manifest: accepted.manifest.as_ref().clone(),
            })
            .collect()
    }
}
