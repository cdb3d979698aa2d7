//! Prints every generated file of the tree as one JSON object, path to text.
//!
//! `cargo xtask gen` writes what this prints and `cargo xtask tidy` compares it with what is
//! committed. It is a package of its own so that the task runner itself links nothing of the
//! product and compiles in seconds. It writes no file and reads none.

mod policy;

use std::collections::BTreeMap;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    serde_json::to_writer(std::io::stdout().lock(), &files()?)?;
    Ok(())
}

/// Every generated file: its path from the root of the tree, and its text.
fn files() -> Result<BTreeMap<String, String>, Box<dyn Error>> {
    let crds = weft_crds::yaml::files()?;
    let mut files: BTreeMap<String, String> = crds
        .into_iter()
        .map(|(name, text)| (format!("crds/yaml/{name}"), text))
        .collect();
    files.insert("docs/policy.md".to_owned(), policy::page()?);
    Ok(files)
}
