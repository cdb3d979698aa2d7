//! The run folder: what the supervisor and the controller share, and what outlives a restart of the controller.
//!
//! Written only by renaming, so that a reader never sees a half; 0600 each in a folder of 0700 that the supervisor owns
//! and deletes at exit.

use crate::source::{folder::Memory, registry};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{self, Write},
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Anchors for whoever must trust the mesh; written at first start.
const ROOT: &str = "root.pem";
/// The authority's certificates.
const CA: &str = "ca.pem";
/// The authority's key.
const CA_KEY: &str = "ca-key.pem";
/// Where the controller listens.
const CONTROLLER: &str = "controller.json";
/// What is kept of the policy objects.
const HELD: &str = "held";
/// Ages, generations and last good texts.
const MEMORY: &str = "seen.json";
/// Accepted generations.
const ACCEPTED: &str = "accepted.json";
/// The trust domain that the mesh was started with.
const TRUST_DOMAIN: &str = "trust-domain";

/// Where the controller listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// gRPC over TLS: Discovery and Identity.
    pub grpc: SocketAddr,
    /// The admin server.
    pub admin: SocketAddr,
}

/// One accepted generation as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredGeneration {
    /// Its generation.
    pub generation: i64,
    /// Its object's age.
    pub created: i64,
    /// Its manifest.
    pub manifest: serde_json::Value,
}

/// See the module. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`; made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path.join(HELD))?;
        // Events name the real path.
        Ok(Self {
            path: path.canonicalize()?,
        })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let target = self.path.join(name);
        let temporary = self.path.join(format!("{name}.new"));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(content)?;
        fs::rename(temporary, target)
    }

    /// The text of a file; none where there is none.
    fn read(&self, name: &str) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The supervisor's registry.
    ///
    /// # Errors
    /// When it cannot be read; `NotFound` while the supervisor has not written it.
    pub fn read_registry(&self) -> io::Result<String> {
        fs::read_to_string(self.path.join(registry::FILE))
    }

    /// Ages, generations and last good texts.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load_memory(&self) -> io::Result<Memory> {
        let text = self.read(&format!("{HELD}/{MEMORY}"))?;
        text.map_or(Ok(Memory::default()), |text| {
            serde_json::from_str(&text).map_err(io::Error::from)
        })
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_memory(&self, memory: &Memory) -> io::Result<()> {
        self.write(&format!("{HELD}/{MEMORY}"), &serde_json::to_vec(memory)?)
    }

    /// The accepted generations of the last run.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load_accepted(&self) -> io::Result<Vec<StoredGeneration>> {
        let text = self.read(&format!("{HELD}/{ACCEPTED}"))?;
        text.map_or(Ok(Vec::new()), |text| {
            serde_json::from_str(&text).map_err(io::Error::from)
        })
    }

    /// Keeps them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_accepted(&self, accepted: &[StoredGeneration]) -> io::Result<()> {
        self.write(
            &format!("{HELD}/{ACCEPTED}"),
            &serde_json::to_vec(accepted)?,
        )
    }

    /// The trust domain that the mesh was started with; none at its first start.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn load_trust_domain(&self) -> io::Result<Option<String>> {
        Ok(self
            .read(&format!("{HELD}/{TRUST_DOMAIN}"))?
            .map(|it| it.trim().to_owned()))
    }

    /// The authority: certificates and key. None at the first start.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn load_authority(&self) -> io::Result<Option<(String, String)>> {
        Ok(self.read(CA)?.zip(self.read(CA_KEY)?))
    }

    /// Keeps the authority, and the anchors for whoever must trust it. The anchors come last: who sees them can begin.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save_authority(
        &self,
        trust_domain: &str,
        chain: &str,
        key: &str,
        anchors: &str,
    ) -> io::Result<()> {
        self.write(&format!("{HELD}/{TRUST_DOMAIN}"), trust_domain.as_bytes())?;
        self.write(CA_KEY, key.as_bytes())?;
        self.write(CA, chain.as_bytes())?;
        self.write(ROOT, anchors.as_bytes())
    }

    /// Says where the controller listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&self, addresses: Addresses) -> io::Result<()> {
        self.write(CONTROLLER, &serde_json::to_vec(&addresses)?)
    }
}
