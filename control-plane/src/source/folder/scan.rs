//! Reads the files of a folder: the only I/O of this source but for its watch.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Files read at most; a folder with more is somebody's home.
const MAX_FILES: usize = 5_000;
/// Bytes of one file at most.
const MAX_BYTES: u64 = 4 << 20;
/// Folders below folders at most, against a loop of links.
const MAX_DEPTH: usize = 16;

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// The text.
    Read(String),
    /// Why there is none.
    Unreadable(String),
}

/// All manifests below `folder`, by their path within it.
///
/// # Errors
/// When the folder itself cannot be listed, or holds more than anybody's manifests.
pub fn scan(folder: &Path) -> io::Result<BTreeMap<PathBuf, Text>> {
    let mut files = BTreeMap::new();
    visit(folder, folder, 0, &mut files)?;
    Ok(files)
}

fn visit(
    root: &Path,
    folder: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, Text>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        // Follows links, as a mounted ConfigMap is made of them. A file that has just gone is no error.
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            if depth < MAX_DEPTH {
                visit(root, &path, depth + 1, files)?;
            }
        } else if is_manifest(&path) {
            if files.len() >= MAX_FILES {
                let reason = format!("more than {MAX_FILES} manifests in {}", root.display());
                return Err(io::Error::other(reason));
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
            match read(&path, metadata.len()) {
                Ok(text) => files.insert(name, Text::Read(text)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => files.insert(name, Text::Unreadable(error.to_string())),
            };
        }
    }
    Ok(())
}

fn read(path: &Path, bytes: u64) -> io::Result<String> {
    if bytes > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    fs::read_to_string(path)
}

/// Whether a file is read at all: by its ending.
fn is_manifest(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    ["yaml", "yml", "json"]
        .iter()
        .any(|it| extension.eq_ignore_ascii_case(it))
}
