//! The manifests of a folder: Deployments, StatefulSets, Pods and what they refer to.
//!
//! Place: read at start and after each change; [`super::plan`] compares. Policy kinds are the
//! control plane's business and are passed over here. Invariants: a file that cannot be read keeps
//! what it last said ([`Folder`] remembers), so that an editor's half-written file stops nothing;
//! whatever is not run is named in `problems`, but for what the control plane says already.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodTemplateSpec, Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::services::ServiceDecl;
use super::workload::{Kind, Owner, References, Workload};

/// A file larger than this is no manifest.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Folders deeper than this are not looked into.
const MAX_DEPTH: usize = 8;

/// Kinds that run processes in a cluster and not here.
const NOT_RUN: [&str; 5] = [
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
];

/// What the folder says.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifests {
    /// What to run, by namespace and name.
    pub workloads: BTreeMap<(String, String), Workload>,
    /// Whom they can call.
    pub services: Vec<ServiceDecl>,
    /// The trust domain of identities.
    pub trust_domain: String,
    /// Threads of each sidecar, when `MeshConfig` says so.
    pub shards: Option<u64>,
    /// Sentences for the user: what is not run, or runs otherwise.
    pub problems: Vec<String>,
}

/// A folder that is read again and again.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    namespace: String,
    /// The documents of each file when it was last readable.
    last_good: BTreeMap<PathBuf, Vec<Value>>,
}

/// One object and where it came from.
struct Object<'a> {
    file: &'a Path,
    kind: String,
    namespace: String,
    name: String,
    value: &'a Value,
}

impl Folder {
    /// The folder `path`; objects without a namespace get `namespace`.
    pub fn new(path: PathBuf, namespace: String) -> Self {
        Self {
            path,
            namespace,
            last_good: BTreeMap::new(),
        }
    }

    /// Reads the folder as it is now.
    ///
    /// # Errors
    /// When the folder itself cannot be read.
    pub fn read(&mut self) -> Result<Manifests> {
        let files = files(&self.path)
            .with_context(|| format!("reading the folder {}", self.path.display()))?;
        self.last_good.retain(|file, _| files.contains(file));
        for file in files {
            // What is wrong with a file is the control plane's to say, which reads the same ones
            // and knows the line.
            if let Ok(found) = documents(&file) {
                self.last_good.insert(file, found);
            }
        }
        Ok(self.interpret())
    }

    fn shown(&self, file: &Path) -> String {
        file.strip_prefix(&self.path)
            .unwrap_or(file)
            .display()
            .to_string()
    }

    fn interpret(&self) -> Manifests {
        let objects: Vec<Object<'_>> = self
            .last_good
            .iter()
            .flat_map(|(file, values)| values.iter().map(move |value| (file, value)))
            .flat_map(|(file, value)| flatten(value).into_iter().map(move |value| (file, value)))
            .filter_map(|(file, value)| self.object(file, value))
            .collect();
        let mut manifests = Manifests {
            workloads: BTreeMap::new(),
            services: Vec::new(),
            trust_domain: weft_model::limits::DEFAULT_TRUST_DOMAIN.to_owned(),
            shards: None,
            problems: Vec::new(),
        };
        let mut maps = Maps::default();
        for object in &objects {
            self.read_shared(object, &mut maps, &mut manifests);
        }
        for object in &objects {
            self.read_workload(object, &maps, &mut manifests);
        }
        manifests
    }

    fn object<'a>(&self, file: &'a Path, value: &'a Value) -> Option<Object<'a>> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        Some(Object {
            file,
            kind: text("/kind")?.to_owned(),
            namespace: text("/metadata/namespace")
                .unwrap_or(&self.namespace)
                .to_owned(),
            name: text("/metadata/name")?.to_owned(),
            value,
        })
    }

    fn say(&self, object: &Object<'_>, text: &str) -> String {
        let (kind, namespace, name) = (&object.kind, &object.namespace, &object.name);
        let file = self.shown(object.file);
        format!("{file}: {kind} {namespace}/{name}: {text}")
    }

    fn parse<T: DeserializeOwned>(
        &self,
        object: &Object<'_>,
        problems: &mut Vec<String>,
    ) -> Option<T> {
        match serde_json::from_value(object.value.clone()) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                problems.push(self.say(object, &format!("is not what Kubernetes knows: {error}")));
                None
            }
        }
    }

    /// Reads what workloads refer to.
    fn read_shared(&self, object: &Object<'_>, maps: &mut Maps, manifests: &mut Manifests) {
        let problems = &mut manifests.problems;
        let key = || (object.namespace.clone(), object.name.clone());
        match object.kind.as_str() {
            "Service" if is_core(object) => {
                // One that makes no sense is named by the control plane.
                let service = serde_json::from_value::<Service>(object.value.clone()).ok();
                let read = |s| ServiceDecl::read(&object.namespace, &object.name, &s);
                manifests.services.extend(service.and_then(read));
            }
            "ConfigMap" if is_core(object) => {
                if let Some(map) = self.parse::<ConfigMap>(object, problems) {
                    maps.config.insert(key(), map.data.unwrap_or_default());
                }
            }
            "Secret" if is_core(object) => {
                if let Some(secret) = self.parse::<Secret>(object, problems) {
                    maps.secrets.insert(key(), secret_texts(secret));
                }
            }
            "MeshConfig" => {
                let spec = |field: &str| object.value.pointer(&format!("/spec/{field}"));
                if let Some(domain) = spec("trustDomain").and_then(Value::as_str) {
                    manifests.trust_domain = domain.to_owned();
                }
                manifests.shards = spec("shards").and_then(Value::as_u64);
            }
            kind if NOT_RUN.contains(&kind) => problems.push(self.say(
                object,
                "is not run on a laptop; write a Deployment, StatefulSet or Pod",
            )),
            _ => {}
        }
    }

    fn read_workload(&self, object: &Object<'_>, maps: &Maps, manifests: &mut Manifests) {
        let problems = &mut manifests.problems;
        let (kind, replicas, template) = match object.kind.as_str() {
            "Deployment" => {
                let spec = self
                    .parse::<Deployment>(object, problems)
                    .and_then(|parsed| parsed.spec);
                let Some(spec) = spec else { return };
                (Kind::Deployment, spec.replicas, spec.template)
            }
            "StatefulSet" => {
                let spec = self
                    .parse::<StatefulSet>(object, problems)
                    .and_then(|parsed| parsed.spec);
                let Some(spec) = spec else { return };
                (Kind::StatefulSet, spec.replicas, spec.template)
            }
            "Pod" => {
                let Some(pod) = self.parse::<Pod>(object, problems) else {
                    return;
                };
                let template = PodTemplateSpec {
                    metadata: Some(pod.metadata),
                    spec: pod.spec,
                };
                (Kind::Pod, None, template)
            }
            _ => return,
        };
        let metadata: ObjectMeta = template.metadata.unwrap_or_default();
        let Some(spec) = template.spec else {
            problems.push(self.say(object, "has no pod spec"));
            return;
        };
        let owner = Owner {
            kind,
            namespace: &object.namespace,
            name: &object.name,
            replicas,
            folder: object.file.parent().unwrap_or(&self.path),
        };
        let mut notes = Vec::new();
        match Workload::read(owner, &metadata, &spec, maps, &mut |note| notes.push(note)) {
            Ok(workload) => {
                let key = (workload.namespace.clone(), workload.name.clone());
                match manifests.workloads.entry(key) {
                    Entry::Vacant(free) => {
                        free.insert(workload);
                    }
                    Entry::Occupied(_) => {
                        notes.push("is named twice in the folder; the first is run".to_owned());
                    }
                }
            }
            Err(problem) => notes.push(format!("does not run: {problem}")),
        }
        for note in notes {
            let line = self.say(object, &note);
            manifests.problems.push(line);
        }
    }
}

/// ConfigMaps and Secrets by namespace and name.
#[derive(Debug, Default)]
struct Maps {
    config: BTreeMap<(String, String), BTreeMap<String, String>>,
    secrets: BTreeMap<(String, String), BTreeMap<String, String>>,
}

impl References for Maps {
    fn config_map(&self, namespace: &str, name: &str) -> Option<&BTreeMap<String, String>> {
        self.config.get(&(namespace.to_owned(), name.to_owned()))
    }

    fn secret(&self, namespace: &str, name: &str) -> Option<&BTreeMap<String, String>> {
        self.secrets.get(&(namespace.to_owned(), name.to_owned()))
    }
}

fn secret_texts(secret: Secret) -> BTreeMap<String, String> {
    let decoded = secret.data.unwrap_or_default().into_iter();
    let mut texts: BTreeMap<String, String> = decoded
        .map(|(key, bytes)| (key, String::from_utf8_lossy(&bytes.0).into_owned()))
        .collect();
    texts.extend(secret.string_data.unwrap_or_default());
    texts
}

/// Whether the object is of the core group: others have kinds of the same names.
fn is_core(object: &Object<'_>) -> bool {
    object.value.pointer("/apiVersion").and_then(Value::as_str) == Some("v1")
}

/// The objects of a document: a `List` holds several.
fn flatten(value: &Value) -> Vec<&Value> {
    let list = value.pointer("/kind").and_then(Value::as_str) == Some("List");
    match value.pointer("/items").and_then(Value::as_array) {
        Some(items) if list => items.iter().collect(),
        _ => vec![value],
    }
}

/// The manifests' files, sorted, so that "first" means the same on every machine.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let hidden = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            // A file may go away between listing and looking: it is then as if never listed.
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            let extension = path.extension().and_then(|extension| extension.to_str());
            if hidden {
                continue;
            } else if metadata.is_dir() && depth < MAX_DEPTH {
                walk(&path, depth + 1, found)?;
            } else if metadata.is_file() && matches!(extension, Some("yaml" | "yml" | "json")) {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(folder, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn documents(file: &Path) -> Result<Vec<Value>> {
    let length = std::fs::metadata(file).context("cannot be read")?.len();
    anyhow::ensure!(
        length <= MAX_FILE_BYTES,
        "is larger than {MAX_FILE_BYTES} bytes"
    );
    let text = std::fs::read_to_string(file).context("cannot be read")?;
    if !text.contains("kind") {
        return Ok(Vec::new());
    }
    serde_saphyr::from_multiple(&text).context("is not YAML")
}

#[cfg(test)]
pub(crate) mod tests;
