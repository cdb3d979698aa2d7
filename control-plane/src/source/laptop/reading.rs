//! From what was read to what is new: pure, so that tests can be the folder.

use crate::{
    source::{
        Change, EndpointSet, PolicyObject, Service, ServiceName, Workload,
        folder::{FileProblem, Folder, Listing, Memory, Text},
        registry::{self, Registry},
    },
    watch::Kind,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};
use weft_model::{source::ObjectRef, workload::WorkloadName};

/// What happened to an object in an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// It is new.
    Added,
    /// It differs.
    Changed,
    /// It is gone.
    Removed,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        })
    }
}

/// One object of an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Edit {
    /// What happened.
    pub verb: Verb,
    /// To which object.
    pub object: ObjectRef,
    /// Where it lies (lay).
    pub file: Arc<str>,
    /// Its first line.
    pub line: u32,
}

/// What is new.
#[derive(Debug, Default)]
pub struct News {
    /// What changed in the mesh.
    pub changes: Vec<Change>,
    /// What a person edited.
    pub edits: Vec<Edit>,
    /// Everything wrong in files now.
    pub problems: Vec<FileProblem>,
}

/// The source's memory of what it has delivered.
#[derive(Debug)]
pub struct Reading {
    folder: Folder,
    services: Kind<Service>,
    policies: Kind<PolicyObject>,
    workloads: Kind<Workload>,
    endpoints: Kind<EndpointSet>,
    listing: Listing,
    registry: Registry,
    texts: Option<BTreeMap<PathBuf, Text>>,
}

impl Reading {
    /// Nothing delivered yet; ages and generations go on from `memory`.
    #[must_use]
    pub fn new(namespace: String, memory: Memory) -> Self {
        Self {
            folder: Folder::new(namespace, memory),
            services: Kind::default(),
            policies: Kind::default(),
            workloads: Kind::default(),
            endpoints: Kind::default(),
            listing: Listing::default(),
            registry: Registry::default(),
            texts: None,
        }
    }

    /// Ages and generations, to be kept.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        self.folder.memory()
    }

    /// Takes what was read; what could not be read stays as it was. None: nothing is new.
    pub fn next(
        &mut self,
        texts: Option<BTreeMap<PathBuf, Text>>,
        registry: Option<Registry>,
    ) -> Option<News> {
        let before = self.listing.clone();
        if let Some(texts) = texts
            && self.texts.as_ref() != Some(&texts)
        {
            self.listing = self.folder.list(&texts);
            self.texts = Some(texts);
        }
        if let Some(registry) = registry {
            self.registry = registry;
        }
        let changes = self.changes();
        let edits = edits(&before, &self.listing);
        let problems = self.listing.problems.clone();
        let nothing = changes.is_empty() && edits.is_empty() && before.problems == problems;
        (!nothing).then_some(News {
            changes,
            edits,
            problems,
        })
    }

    fn changes(&mut self) -> Vec<Change> {
        let services: BTreeMap<ServiceName, Service> = self
            .listing
            .services
            .iter()
            .map(|(name, (service, _))| (name.clone(), service.clone()))
            .collect();
        let workloads: BTreeMap<WorkloadName, Workload> = self
            .registry
            .instances
            .iter()
            .map(|(name, instance)| (name.clone(), instance.workload.clone()))
            .collect();
        let endpoints = registry::endpoints(services.values(), &self.registry);
        let mut changes = self.services.reset(services);
        changes.extend(self.workloads.reset(workloads));
        changes.extend(self.endpoints.reset(endpoints));
        changes.extend(self.policies.reset(self.listing.policies.clone()));
        changes
    }
}

/// What a person did between two listings.
fn edits(before: &Listing, after: &Listing) -> Vec<Edit> {
    let of = |listing: &Listing| -> BTreeMap<ObjectRef, (Arc<str>, u32, Stamp)> {
        let policies = listing.policies.values().map(|it| {
            let at = (Arc::clone(&it.origin.file), it.origin.lines.line(""));
            (
                it.object.clone(),
                (at.0, at.1, Stamp::Generation(it.created, it.generation)),
            )
        });
        let services = listing.services.values().map(|(service, origin)| {
            let object = ObjectRef::new("Service", &service.name.namespace, &service.name.name);
            let stamp = Stamp::Service(Box::new(service.clone()));
            (
                object,
                (Arc::clone(&origin.file), origin.lines.line(""), stamp),
            )
        });
        policies.chain(services).collect()
    };
    let (before, after) = (of(before), of(after));
    let mut edits = Vec::new();
    for (object, (file, line, stamp)) in &after {
        let verb = match before.get(object) {
            None => Verb::Added,
            Some((_, _, old)) if old != stamp => Verb::Changed,
            Some(_) => continue,
        };
        edits.push(Edit {
            verb,
            object: object.clone(),
            file: Arc::clone(file),
            line: *line,
        });
    }
    for (object, (file, line, _)) in before {
        if !after.contains_key(&object) {
            edits.push(Edit {
                verb: Verb::Removed,
                object,
                file,
                line,
            });
        }
    }
    edits
}

#[derive(Debug, PartialEq)]
enum Stamp {
    Generation(i64, i64),
    Service(Box<Service>),
}
