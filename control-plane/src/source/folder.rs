//! A folder of manifests as a source: Services and policy objects, with what is wrong in the files.
//!
//! Place: [`scan()`] reads the files, [`Folder::list`] says what is there. Pure but for [`scan()`]: texts in, a listing out.
//!
//! Invariants: a file that cannot be read keeps the objects it had before, all of them; the first object of a name keeps
//! it, another of the same name is a problem; an object's age is the order in which it was first seen, which edits do not
//! change; its generation counts its edits. Age, generation and the last good text of each file are [`Memory`], which
//! outlives a restart.

mod document;
mod manifest;
mod memory;
mod scan;
#[cfg(test)]
mod tests;

pub use document::{Lines, SyntaxError};
pub use memory::{Memory, Seen};
pub use scan::{Text, scan};

use super::{Origin, PolicyObject, Service, ServiceName};
use document::Document;
use manifest::Manifest;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use weft_model::{problem::Severity, source::ObjectRef};

/// Something wrong in a file, said so that its author can mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileProblem {
    /// File, relative to the folder.
    pub file: Arc<str>,
    /// Line, counted from one; 0 where there is none.
    pub line: u32,
    /// The object, where one can be named.
    pub object: Option<ObjectRef>,
    /// Path of the field.
    pub field: String,
    /// How far it reaches.
    pub severity: Severity,
    /// Stable name of the kind of problem.
    pub code: &'static str,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What the folder says now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// Services.
    pub services: BTreeMap<ServiceName, (Service, Origin)>,
    /// Policy objects.
    pub policies: BTreeMap<ObjectRef, PolicyObject>,
    /// What is wrong in files, apart from the policy objects' own problems.
    pub problems: Vec<FileProblem>,
}

/// Codes of problems of files.
pub mod codes {
    /// The file cannot be opened or is no text.
    pub const UNREADABLE: &str = "FileUnreadable";
    /// The file is no YAML.
    pub const SYNTAX: &str = "SyntaxError";
    /// A document is no Kubernetes object.
    pub const NOT_AN_OBJECT: &str = "NotAnObject";
    /// A second object of the same name.
    pub const DUPLICATE: &str = "Duplicate";
    /// A Service that cannot be used.
    pub const INVALID_SERVICE: &str = "InvalidService";
}

/// See the module.
#[derive(Debug)]
pub struct Folder {
    namespace: String,
    memory: Memory,
    good: BTreeMap<Arc<str>, Arc<Vec<Document>>>,
}

impl Folder {
    /// A folder whose objects without a namespace are in `namespace`, going on from `memory`.
    #[must_use]
    pub fn new(namespace: String, memory: Memory) -> Self {
        let good = memory
            .texts
            .iter()
            .filter_map(|(file, text)| {
                Some((
                    Arc::from(file.as_str()),
                    Arc::new(document::parse(text).ok()?),
                ))
            })
            .collect();
        Self {
            namespace,
            memory,
            good,
        }
    }

    /// What outlives a restart.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What the files say.
    pub fn list(&mut self, files: &BTreeMap<PathBuf, Text>) -> Listing {
        let mut listing = Listing::default();
        let mut documents = Vec::new();
        let mut present = Vec::new();
        for (path, text) in files {
            let file: Arc<str> = path.to_string_lossy().into();
            present.push(Arc::clone(&file));
            let parsed = match text {
                Text::Read(text) => document::parse(text).map(|it| (it, text)).map_err(|error| {
                    let kept = self.kept(&file);
                    syntax_problem(&file, &error, &kept)
                }),
                Text::Unreadable(reason) => Err(FileProblem {
                    file: Arc::clone(&file),
                    line: 0,
                    object: None,
                    field: String::new(),
                    severity: Severity::Invalid,
                    code: codes::UNREADABLE,
                    reason: format!("the file cannot be read: {reason}"),
                    remedy: format!("make it readable; {}", self.kept(&file)),
                }),
            };
            match parsed {
                Ok((parsed, text)) => {
                    self.memory.texts.insert(file.to_string(), text.clone());
                    self.good.insert(Arc::clone(&file), Arc::new(parsed));
                }
                Err(problem) => listing.problems.push(problem),
            }
            if let Some(good) = self.good.get(&file) {
                documents.push((file, Arc::clone(good)));
            }
        }
        self.good.retain(|file, _| present.contains(file));
        self.memory
            .texts
            .retain(|file, _| present.iter().any(|it| **it == **file));
        self.read(&documents, &mut listing);
        listing
    }

    /// What happens to the objects of a file that cannot be read.
    fn kept(&self, file: &Arc<str>) -> String {
        match self.good.get(file).map(|it| it.len()) {
            None | Some(0) => "nothing of it is in force".to_owned(),
            Some(1) => "its one object stays as it was before".to_owned(),
            Some(count) => format!("its {count} objects stay as they were before"),
        }
    }

    fn read(&mut self, documents: &[(Arc<str>, Arc<Vec<Document>>)], listing: &mut Listing) {
        let mut found: Vec<(Arc<str>, Manifest)> = Vec::new();
        for (file, documents) in documents {
            let is_json = file.to_ascii_lowercase().ends_with(".json");
            for document in documents
                .iter()
                .filter(|it| !is_json || !manifest::is_data(it))
            {
                match manifest::read(document, &self.namespace) {
                    Ok(Some(manifest)) => found.push((Arc::clone(file), manifest)),
                    Ok(None) => {}
                    Err(fault) => listing.problems.push(fault.in_file(file)),
                }
            }
        }
        let owners = self.owners(&found);
        let mut claimed: BTreeMap<ObjectRef, (Arc<str>, u32)> = BTreeMap::new();
        // Those that keep their name come first, so that the others find it taken.
        found.sort_by_key(|(file, manifest)| owners.get(&manifest.object) != Some(file));
        let mut aged: Vec<(Arc<str>, Manifest)> = Vec::new();
        for (file, manifest) in found {
            match claimed.get(&manifest.object) {
                Some((other, line)) => {
                    let first = format!("{other}:{line}");
                    listing.problems.push(manifest.duplicate(&file, &first));
                }
                None => {
                    claimed.insert(manifest.object.clone(), (Arc::clone(&file), manifest.line));
                    aged.push((file, manifest));
                }
            }
        }
        // Age is first sight, among those seen together the path and the place in the file.
        aged.sort_by(|(a, x), (b, y)| (a, x.line).cmp(&(b, y.line)));
        self.memory
            .objects
            .retain(|object, _| claimed.keys().any(|it| it.to_string() == *object));
        for (file, manifest) in aged {
            let seen = self.memory.see(&manifest.object, &file, &manifest.value);
            let origin = Origin {
                file,
                lines: Arc::clone(&manifest.lines),
            };
            match manifest.kind {
                manifest::Kind::Service => match manifest::service(&manifest) {
                    Ok(service) => {
                        listing
                            .services
                            .insert(service.name.clone(), (service, origin));
                    }
                    Err(fault) => listing.problems.push(fault.in_file(&origin.file)),
                },
                manifest::Kind::Policy => {
                    if let Some(policy) = manifest::policy(&manifest, seen, origin) {
                        listing.policies.insert(policy.object.clone(), policy);
                    }
                }
            }
        }
        listing
            .problems
            .sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    }

    /// The file that holds each name: the one that held it before, if it still does, else the first by path.
    fn owners(&self, found: &[(Arc<str>, Manifest)]) -> BTreeMap<ObjectRef, Arc<str>> {
        let mut owners: BTreeMap<ObjectRef, Arc<str>> = BTreeMap::new();
        for (file, manifest) in found {
            let before = self.memory.objects.get(&manifest.object.to_string());
            let held_it = before.is_some_and(|seen| seen.file == **file);
            if held_it || !owners.contains_key(&manifest.object) {
                owners.insert(manifest.object.clone(), Arc::clone(file));
            }
        }
        owners
    }
}

/// An accepted generation as it was stored, back from its manifest.
#[must_use]
pub fn restore(
    manifest: &serde_json::Value,
    generation: i64,
    created: i64,
) -> Option<PolicyObject> {
    let document = Document {
        value: manifest.clone(),
        lines: Lines::default(),
    };
    let manifest = manifest::read(&document, "").ok()??;
    let seen = memory::Place {
        generation,
        created,
    };
    manifest::policy(&manifest, seen, Origin::default())
}

fn syntax_problem(file: &Arc<str>, error: &SyntaxError, kept: &str) -> FileProblem {
    FileProblem {
        file: Arc::clone(file),
        line: error.line,
        object: None,
        field: String::new(),
        severity: Severity::Invalid,
        code: codes::SYNTAX,
        reason: format!("this is not YAML: {}", error.reason),
        remedy: format!("mend the line; until then {kept}"),
    }
}
