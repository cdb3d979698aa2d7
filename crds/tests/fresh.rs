//! `crds/yaml/` is what the types generate, and each file reads back as the definition it was made of.

use std::path::Path;
use weft_crds::{kind::Kind, yaml};

#[test]
fn the_committed_files_are_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("yaml");
    let files = yaml::files().unwrap();
    for (name, text) in &files {
        let committed = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            committed == *text,
            "crds/yaml/{name} is stale: run `cargo xtask gen`"
        );
    }
    let committed = std::fs::read_dir(folder).unwrap().count();
    assert_eq!(committed, files.len(), "crds/yaml has other files");
}

#[test]
fn a_file_reads_back_as_its_definition() {
    for (kind, (name, text)) in Kind::ALL.into_iter().zip(yaml::files().unwrap()) {
        let read: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(read, kind.definition(), "{name}");
    }
}
