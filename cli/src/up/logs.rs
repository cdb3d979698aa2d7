//! What the processes write: the last lines in memory, a bounded file each, or the user's screen.
//!
//! Invariants: a process is never held up by a reader of its lines; a file and the memory are
//! bounded whatever is written; a line is cut where nobody would read on.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

use crate::output::Console;

/// Lines kept in memory, to be shown when the process fails.
const TAIL_LINES: usize = 12;

/// A line longer than this is cut.
const MAX_LINE_BYTES: usize = 4 * 1024;

/// A file larger than this is begun anew; the one before is kept beside it.
const MAX_FILE_BYTES: u64 = 512 * 1024;

/// What else happens with each line.
#[derive(Debug, Clone)]
pub enum Show {
    /// Nothing.
    Nothing,
    /// It is printed behind the name of the process.
    Prefixed(Console),
    /// It is printed as it is: it is meant for the user.
    Plain(Console),
}

/// The lines of one process over all its restarts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    name: String,
    path: PathBuf,
    file: Option<File>,
    written: u64,
    tail: VecDeque<String>,
}

impl Log {
    /// A log in the file `path`, which is created with the first line.
    pub fn new(name: &str, path: PathBuf) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                name: name.to_owned(),
                path,
                file: None,
                written: 0,
                tail: VecDeque::new(),
            })),
        }
    }

    /// Forgets the last lines: a new process begins.
    pub fn begin(&self) {
        self.with(|inner| inner.tail.clear());
    }

    /// The last lines, oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.with(|inner| inner.tail.iter().cloned().collect())
    }

    /// Takes one line.
    pub fn line(&self, line: &str, show: &Show) {
        let name = self.with(|inner| {
            inner.append(line);
            inner.name.clone()
        });
        match show {
            Show::Nothing => {}
            Show::Prefixed(console) => console.say(&format!("{name} | {line}")),
            Show::Plain(console) => console.say(line),
        }
    }

    /// Reads lines until the stream ends.
    pub async fn follow(self, stream: impl AsyncRead + Unpin, show: Show) {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while let Ok(chunk) = reader.fill_buf().await {
            if chunk.is_empty() {
                break;
            }
            let (taken, ended) = match chunk.iter().position(|byte| *byte == b'\n') {
                Some(end) => (end, true),
                None => (chunk.len(), false),
            };
            let room = MAX_LINE_BYTES.saturating_sub(line.len());
            line.extend(chunk.iter().take(taken.min(room)));
            reader.consume(taken + usize::from(ended));
            if ended {
                self.line(String::from_utf8_lossy(&line).trim_end(), &show);
                line.clear();
            }
        }
        if !line.is_empty() {
            self.line(String::from_utf8_lossy(&line).trim_end(), &show);
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self
            .inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut inner)
    }
}

impl Inner {
    fn append(&mut self, line: &str) {
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(line.to_owned());
        if self.written > MAX_FILE_BYTES {
            self.file = None;
            self.written = 0;
            // When it cannot be renamed, the new file replaces it.
            let _ = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        }
        if self.file.is_none() {
            self.file = File::create(&self.path).ok();
        }
        if let Some(file) = &mut self.file {
            // A full disk costs log lines, not the mesh.
            let _ = writeln!(file, "{line}");
            self.written += line.len() as u64 + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_kept_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = Log::new("a", path.clone());
        let long = "x".repeat(3 * MAX_LINE_BYTES);
        let text = format!("one\r\ntwo\n{long}\nlast without a line feed");
        log.clone().follow(text.as_bytes(), Show::Nothing).await;
        let tail = log.tail();
        assert_eq!(tail.len(), 4);
        assert_eq!(tail.first().unwrap(), "one");
        assert_eq!(tail.get(2).unwrap().len(), MAX_LINE_BYTES);
        assert_eq!(tail.last().unwrap(), "last without a line feed");
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("one\ntwo\n")
        );
        log.begin();
        assert!(log.tail().is_empty());
    }

    #[test]
    fn a_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let log = Log::new("a", path.clone());
        let line = "y".repeat(1000);
        for _ in 0..2_000 {
            log.line(&line, &Show::Nothing);
        }
        let files = std::fs::read_dir(folder.path()).unwrap();
        let total: u64 = files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(total < 3 * MAX_FILE_BYTES, "{total}");
    }
}
