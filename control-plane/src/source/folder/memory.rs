//! What a folder cannot say of itself, since files have no age: order of first sight, generation, last good text.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use weft_model::source::ObjectRef;

/// Kept over a restart of the controller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Memory {
    /// The order number that the next new object gets.
    pub next: i64,
    /// What is known of each object, by its name as text.
    pub objects: BTreeMap<String, Seen>,
    /// The last good text of each file.
    pub texts: BTreeMap<String, String>,
}

/// What is known of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Order of first sight.
    pub created: i64,
    /// Edits, counted from one.
    pub generation: i64,
    /// The file it lies in.
    pub file: String,
    /// Hash of its content.
    pub hash: String,
}

/// Age and generation of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) generation: i64,
    pub(super) created: i64,
}

impl Memory {
    /// Notes that an object is there with this content.
    pub(super) fn see(
        &mut self,
        object: &ObjectRef,
        file: &str,
        value: &serde_json::Value,
    ) -> Place {
        // serde_json keeps maps sorted, so equal content has equal text.
        let hash = hex::encode(Sha256::digest(value.to_string()));
        let next = self.next;
        let seen = self
            .objects
            .entry(object.to_string())
            .or_insert_with(|| Seen {
                created: next,
                generation: 1,
                file: file.to_owned(),
                hash: hash.clone(),
            });
        if seen.created == next {
            self.next += 1;
        }
        if seen.hash != hash {
            seen.hash = hash;
            seen.generation += 1;
        }
        file.clone_into(&mut seen.file);
        Place {
            generation: seen.generation,
            created: seen.created,
        }
    }
}
