//! The only code of this binary that reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the commands take from the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// Folders that may hold run folders: `XDG_RUNTIME_DIR` when it is set, and the folder for
    /// temporary files. The first is where a new run goes.
    pub run_bases: Vec<PathBuf>,
    /// The folder for temporary files.
    pub temporary: PathBuf,
    /// Everything that is set; an application inherits it as it would from a shell.
    pub inherited: Vec<(OsString, OsString)>,
    /// `WEFT_LOG`: the log filter of the controller and of the sidecars.
    pub log: Option<String>,
}

impl Surroundings {
    /// A variable of the caller.
    pub fn variable(&self, key: &str) -> Option<&OsString> {
        self.inherited
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

/// Reads the environment.
pub fn read() -> Surroundings {
    let inherited: Vec<(OsString, OsString)> = std::env::vars_os().collect();
    let of = |key: &str| {
        inherited
            .iter()
            .find(|(name, value)| name == key && !value.is_empty())
            .map(|(_, value)| value.clone())
    };
    let runtime = of("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| folder.is_dir());
    let mut run_bases: Vec<PathBuf> = runtime.into_iter().collect();
    let temporary = std::env::temp_dir();
    run_bases.push(temporary.clone());
    run_bases.dedup();
    let log = of("WEFT_LOG").and_then(|text| text.into_string().ok());
    Surroundings {
        run_bases,
        temporary,
        log,
        inherited,
    }
}
