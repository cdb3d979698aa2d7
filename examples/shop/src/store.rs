//! The SQLite file of a service that writes.
//!
//! A statement runs on the thread that serves requests: it takes some tens of microseconds, and a
//! pool of threads would cost each of the shop's processes more than that. The lock is never held
//! across an `.await`.

use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;

/// Nothing waits for the disk: what is committed survives the end of the process, and a crash of the
/// machine may cost a demo shop its last orders. Waiting would show in every latency that the mesh
/// is measured by (10 ms for a checkpoint, seen). The cache is small because so are the tables.
const PRAGMAS: &str = "PRAGMA journal_mode = WAL;
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -256;
    PRAGMA journal_size_limit = 1048576;";

/// Why a service has no storage.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("cannot make the data folder {0}: {1}")]
    Folder(PathBuf, std::io::Error),
    /// The file cannot be opened, or is none of SQLite's.
    #[error("cannot open {0}: {1}")]
    Open(PathBuf, rusqlite::Error),
}

/// An open file with its tables.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Mutex<Connection>,
    /// Dropped after the connection: deletes the folder if it was made for this process alone.
    _scratch: Option<Scratch>,
}

impl Store {
    /// Opens `NAME.db` in `folder`, or in a folder of its own that disappears with the store, and
    /// runs `schema` on it.
    pub(crate) fn open(
        folder: Option<&Path>,
        name: &str,
        schema: &str,
    ) -> Result<Self, StoreError> {
        let (folder, scratch) = match folder {
            Some(folder) => (folder.to_owned(), None),
            None => {
                let unique = format!(
                    "weft-shop-{}-{:016x}",
                    std::process::id(),
                    fastrand::u64(..)
                );
                let folder = std::env::temp_dir().join(unique);
                (folder.clone(), Some(Scratch(folder)))
            }
        };
        std::fs::create_dir_all(&folder)
            .map_err(|error| StoreError::Folder(folder.clone(), error))?;
        let path = folder.join(format!("{name}.db"));
        let open = || {
            let connection = Connection::open(&path)?;
            connection.execute_batch(PRAGMAS)?;
            connection.execute_batch(schema)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| StoreError::Open(path.clone(), error))?;
        Ok(Self {
            connection: Mutex::new(connection),
            _scratch: scratch,
        })
    }

    /// The connection, for one statement or one transaction.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}

/// A folder that is deleted with the process that made it.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS t (n INTEGER)";

    fn rows(store: &Store) -> i64 {
        store
            .lock()
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn a_given_folder_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("new");
        for expected in [0, 1] {
            let store = Store::open(Some(&inner), "x", SCHEMA).unwrap();
            assert_eq!(rows(&store), expected);
            store
                .lock()
                .execute("INSERT INTO t VALUES (1)", [])
                .unwrap();
        }
    }

    #[test]
    fn a_folder_of_its_own_disappears() {
        let store = Store::open(None, "x", SCHEMA).unwrap();
        let folder = store._scratch.as_ref().unwrap().0.clone();
        assert!(folder.join("x.db").exists());
        drop(store);
        assert!(!folder.exists());
    }

    #[test]
    fn says_which_file_it_cannot_open() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("x.db"),
            "not a database, but long enough for a header\n",
        )
        .unwrap();
        let error = Store::open(Some(folder.path()), "x", SCHEMA)
            .unwrap_err()
            .to_string();
        assert!(error.contains("x.db"), "{error}");
    }
}
