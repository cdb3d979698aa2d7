//! The meshes that this user runs on this machine, found by their run folders.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::up::run_folder::{Liveness, RUN_FILE, folders, liveness};
use crate::up::state::{InstanceState, RunState};

/// The run in `folder`.
///
/// # Errors
/// When none is running there.
pub fn open(folder: &Path) -> Result<RunState> {
    if liveness(folder) != Liveness::Running {
        bail!("no mesh of yours is running in {}", folder.display());
    }
    read(folder)
}

fn read(folder: &Path) -> Result<RunState> {
    let path = folder.join(RUN_FILE);
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is of another version of weft", path.display()))
}

/// All runs below `bases`.
pub fn all(bases: &[PathBuf]) -> Vec<RunState> {
    bases
        .iter()
        .flat_map(|base| folders(base))
        .filter(|folder| liveness(folder) == Liveness::Running)
        // One that is starting or ending is not there yet, or any longer.
        .filter_map(|folder| read(&folder).ok())
        .collect()
}

/// The one run that is meant.
///
/// # Errors
/// When none is running, or several are and none is named.
pub fn the_one(bases: &[PathBuf], named: Option<&Path>) -> Result<RunState> {
    if let Some(folder) = named {
        return open(folder);
    }
    let mut runs = all(bases);
    match (runs.pop(), runs.is_empty()) {
        (Some(run), true) => Ok(run),
        (None, _) => bail!("no mesh is running; start one with `weft demo` or `weft up -f DIR`"),
        (Some(last), false) => {
            runs.push(last);
            let list: Vec<String> = runs
                .iter()
                .map(|run| format!("--run {}  ({})", run.run.display(), run.folder.display()))
                .collect();
            bail!(
                "several meshes are running; name one:\n  {}",
                list.join("\n  ")
            )
        }
    }
}

/// The instance that a user names: an instance, or a workload's first ready one, with or without
/// its namespace.
///
/// # Errors
/// When there is none, or the name means several.
pub fn instance<'a>(run: &'a RunState, name: &str) -> Result<&'a InstanceState> {
    let (namespace, short) = match name.split_once('/') {
        Some((namespace, short)) => (Some(namespace), short),
        None => (None, name),
    };
    let in_namespace = |instance: &&InstanceState| {
        namespace.is_none_or(|namespace| namespace == instance.key.namespace)
    };
    let of = |matches: &dyn Fn(&InstanceState) -> bool| -> Vec<&'a InstanceState> {
        let found = run.instances.iter().filter(in_namespace);
        found.filter(|instance| matches(instance)).collect()
    };
    let mut found = of(&|instance| instance.key.name == short);
    if found.is_empty() {
        found = of(&|instance| instance.workload == short);
    }
    let mut namespaces: Vec<&str> = found.iter().map(|i| i.key.namespace.as_str()).collect();
    namespaces.dedup();
    if namespaces.len() > 1 {
        bail!(
            "{short} exists in several namespaces: say one of {}/{short}",
            namespaces.join("/, ")
        );
    }
    let first = found
        .iter()
        .find(|instance| instance.ready)
        .or(found.first());
    match first {
        Some(instance) => Ok(instance),
        None => {
            let mut names: Vec<&str> = run.instances.iter().map(|i| i.workload.as_str()).collect();
            names.dedup();
            bail!(
                "no workload is named {name}; there are {}",
                names.join(", ")
            )
        }
    }
}
