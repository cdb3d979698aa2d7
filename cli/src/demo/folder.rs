//! The folder of the demo: the shop's manifests, the load generator's, and the policies to start
//! with; and those to try, under names that are not read until they are renamed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::config::Surroundings;
use crate::up::run_folder::{DEMO_PREFIX, Scratch};

/// In force from the start.
const POLICIES: [(&str, &str); 4] = [
    (
        "mutual-tls.yaml",
        include_str!("../../../examples/policies/mutual-tls.yaml"),
    ),
    (
        "payment-canary.yaml",
        include_str!("../../../examples/policies/payment-canary.yaml"),
    ),
    (
        PRODUCT_SPLIT,
        include_str!("../../../examples/policies/product-split.yaml"),
    ),
    (
        "order-timeout.yaml",
        include_str!("../../../examples/policies/order-timeout.yaml"),
    ),
];

/// To try.
const MORE: [(&str, &str); 3] = [
    (
        "pricing-plaintext.yaml",
        include_str!("../../../examples/policies/pricing-plaintext.yaml"),
    ),
    (
        "inventory-random.yaml",
        include_str!("../../../examples/policies/inventory-random.yaml"),
    ),
    (
        "mesh-access-log.yaml",
        include_str!("../../../examples/policies/mesh-access-log.yaml"),
    ),
];

/// Needs version 2 of product-service, which needs Python.
const PRODUCT_SPLIT: &str = "product-split.yaml";

/// What a policy to try is called until it is renamed.
pub(super) const OFF: &str = "off";

const SHOPBOT: &str = r#"# The load generator: a workload like any other, so that its calls are the mesh's as well.
# Edit --rate (requests a second), --mix or --concurrency; it is started anew then.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: shopbot
  namespace: production
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shopbot
  namespace: production
  labels:
    app: shopbot
    version: v1
spec:
  replicas: 1
  selector:
    matchLabels:
      app: shopbot
  template:
    metadata:
      labels:
        app: shopbot
        version: v1
      annotations:
        weft.dev/laptop-command: weft __load --rate @RATE@ --mix browse=6,order=3,dashboard=1
    spec:
      serviceAccountName: shopbot
      containers:
        - name: shopbot
          image: weft-shop:latest
          command: ["weft-shop", "load", "--target", "http://web-bff"]
          ports:
            - name: http
              containerPort: 8080
"#;

/// Whether Python can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Python {
    /// `python3` is in PATH.
    Found,
    /// It is not.
    Missing,
}

/// Looks for `python3`.
pub(super) fn find_python(surroundings: &Surroundings) -> Python {
    let path = surroundings.variable("PATH").cloned().unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join("python3").is_file()) {
        Python::Found
    } else {
        Python::Missing
    }
}

/// The folder, and whether it goes away at the end.
#[derive(Debug)]
pub(super) enum DemoFolder {
    /// Made for this run.
    Own(Scratch),
    /// The user's; it stays.
    Given(PathBuf),
}

impl DemoFolder {
    /// Writes all files into `given`, or into a folder of its own. A file that is there already is
    /// the user's: it stays as it is.
    pub(super) fn write(
        given: Option<&Path>,
        surroundings: &Surroundings,
        rate: f64,
        python: Python,
    ) -> Result<Self> {
        ensure!(
            rate > 0.0 && rate <= 20_000.0,
            "a rate of {rate} is not between 0 and 20000"
        );
        let folder = match given {
            Some(path) => Self::Given(path.to_owned()),
            None => Self::Own(Scratch::create(&surroundings.temporary, DEMO_PREFIX)?),
        };
        let root = folder.path();
        for (name, text) in weft_shop::files() {
            let v2 = python == Python::Missing && *name == "product-service.yaml";
            let text = if v2 {
                without_v2(text)
            } else {
                (*text).to_owned()
            };
            put(root, name, &text)?;
        }
        put(
            root,
            "shopbot.yaml",
            &SHOPBOT.replace("@RATE@", &rate.to_string()),
        )?;
        for (name, text) in POLICIES {
            let off = python == Python::Missing && name == PRODUCT_SPLIT;
            let suffix = if off {
                format!(".{OFF}")
            } else {
                String::new()
            };
            put(root, &format!("policies/{name}{suffix}"), text)?;
        }
        for (name, text) in MORE {
            put(root, &format!("policies/{name}.{OFF}"), text)?;
        }
        Ok(folder)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(scratch) => scratch.path(),
            Self::Given(path) => path,
        }
    }

    /// Deletes it, unless it is the user's.
    pub(super) fn delete(self) -> Result<()> {
        match self {
            Self::Own(scratch) => scratch.delete(),
            Self::Given(_) => Ok(()),
        }
    }
}

/// The manifests without those of version 2.
fn without_v2(text: &str) -> String {
    let documents: Vec<&str> = text
        .split("\n---\n")
        .filter(|document| !document.contains("version: v2"))
        .collect();
    documents.join("\n---\n")
}

fn put(root: &Path, name: &str, text: &str) -> Result<()> {
    let path = root.join(name);
    let context = || format!("writing {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(context)?;
    }
    if path.exists() {
        return Ok(());
    }
    std::fs::write(&path, text).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::up::manifests::Folder;

    fn surroundings(base: &Path) -> Surroundings {
        Surroundings {
            run_bases: vec![base.to_owned()],
            temporary: base.to_owned(),
            inherited: Vec::new(),
            log: None,
        }
    }

    #[track_caller]
    fn check(python: Python, instances: usize, with_split: bool) {
        let base = tempfile::tempdir().unwrap();
        let folder = DemoFolder::write(None, &surroundings(base.path()), 12.5, python).unwrap();
        let path = folder.path().to_owned();
        let manifests = Folder::new(path.clone(), "production".to_owned())
            .read()
            .unwrap();
        assert_eq!(manifests.problems, Vec::<String>::new());
        assert_eq!(crate::up::plan::desired(&manifests).len(), instances);
        assert_eq!(
            path.join("policies/product-split.yaml").exists(),
            with_split
        );
        assert!(path.join("policies/pricing-plaintext.yaml.off").exists());
        let shopbot = manifests
            .workloads
            .get(&("production".to_owned(), "shopbot".to_owned()));
        assert!(shopbot.unwrap().command.contains(&"12.5".to_owned()));
        folder.delete().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn the_whole_shop_is_written_and_deleted() {
        check(Python::Found, 16, true);
        check(Python::Missing, 14, false);
    }

    #[test]
    fn a_given_folder_keeps_what_is_in_it() {
        let base = tempfile::tempdir().unwrap();
        let own = base.path().join("shop");
        put(&own, "shopbot.yaml", "mine").unwrap();
        let folder =
            DemoFolder::write(Some(&own), &surroundings(base.path()), 1.0, Python::Found).unwrap();
        folder.delete().unwrap();
        assert_eq!(
            std::fs::read_to_string(own.join("shopbot.yaml")).unwrap(),
            "mine"
        );
        assert!(own.join("web-bff.yaml").exists());
    }
}
