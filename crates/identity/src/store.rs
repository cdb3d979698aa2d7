//! The process's identity: the leaf and the trust in force, and the TLS configurations made of them.
//!
//! Place: the renewal loop and the config stream write it; every connection reads it. Invariants: a
//! change replaces the whole snapshot at once, so a handshake sees one leaf and one trust; a
//! configuration is built once per snapshot and (peer, protocol) and then shared, so a handshake
//! builds nothing; connections made before a change go on as they were, which is why pools key on
//! [`IdentityStore::version`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::client::Resumption;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use weft_model::identity::SpiffeId;

use crate::alpn::Alpn;
use crate::leaf::Leaf;
use crate::provider::provider;
use crate::trust::TrustRoots;
use crate::verify::{ClientVerifier, ServerVerifier};

/// Client configurations kept per snapshot. A workload dials fewer identities than this; beyond it
/// the cache starts anew rather than grow.
const MAX_CLIENT_CONFIGS: usize = 1_024;

/// Whether a client must present a certificate. A presented one is always verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// Asked for; policy decides about a client without one.
    Optional,
    /// The handshake fails without one.
    Required,
}

/// Counts the changes of leaf and trust. Connections of different versions must not share a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityVersion(u64);

impl IdentityVersion {
    /// The number; it only grows.
    pub fn get(self) -> u64 {
        self.0
    }
}

/// Why there is no TLS configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYet {
    /// No certificate has been obtained.
    #[error("no certificate yet")]
    Leaf,
    /// No trust bundle has been obtained.
    #[error("no trust bundle yet")]
    Trust,
}

/// The identity of this process. Shared as an `Arc`; reading takes no lock but a cache's.
#[derive(Debug)]
pub struct IdentityStore {
    current: ArcSwap<Snapshot>,
    /// Taken by writers only, so that two changes cannot lose one another.
    writer: Mutex<()>,
}

struct Snapshot {
    version: IdentityVersion,
    leaf: Option<Leaf>,
    trust: Arc<TrustRoots>,
    clients: Mutex<HashMap<ClientKey, Arc<ClientConfig>>>,
    servers: Mutex<HashMap<ServerKey, Arc<ServerConfig>>>,
}

type ServerKey = (&'static [Alpn], ClientAuth);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    expected: SpiffeId,
    alpn: Alpn,
    presents: Presents,
}

/// Whether the client shows its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Presents {
    Leaf,
    Nothing,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("version", &self.version)
            .field("leaf", &self.leaf)
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    fn new(version: IdentityVersion, leaf: Option<Leaf>, trust: Arc<TrustRoots>) -> Self {
        Self {
            version,
            leaf,
            trust,
            clients: Mutex::new(HashMap::new()),
            servers: Mutex::new(HashMap::new()),
        }
    }
}

impl Default for IdentityStore {
    fn default() -> Self {
        Self::new()
    }
}

impl IdentityStore {
    /// Without a leaf and trusting nobody.
    pub fn new() -> Self {
        let snapshot = Snapshot::new(IdentityVersion(0), None, Arc::new(TrustRoots::default()));
        Self {
            current: ArcSwap::from_pointee(snapshot),
            writer: Mutex::new(()),
        }
    }

    /// Replaces the leaf.
    pub fn set_leaf(&self, leaf: Leaf) -> IdentityVersion {
        self.change(|old| (Some(leaf), Arc::clone(&old.trust)))
    }

    /// Replaces the trusted anchors. The same anchors again change nothing: each answer of the
    /// control plane carries them, and a new version costs every pool its connections.
    pub fn set_trust(&self, trust: TrustRoots) -> IdentityVersion {
        let current = self.current.load();
        if *current.trust == trust {
            return current.version;
        }
        self.change(|old| (old.leaf.clone(), Arc::new(trust)))
    }

    fn change(
        &self,
        next: impl FnOnce(&Snapshot) -> (Option<Leaf>, Arc<TrustRoots>),
    ) -> IdentityVersion {
        let _one_at_a_time = self.writer.lock();
        let old = self.current.load();
        let version = IdentityVersion(old.version.0 + 1);
        let (leaf, trust) = next(&old);
        self.current
            .store(Arc::new(Snapshot::new(version, leaf, trust)));
        version
    }

    /// The version of what [`Self::client_config`] and [`Self::server_config`] give now.
    pub fn version(&self) -> IdentityVersion {
        self.current.load().version
    }

    /// The leaf in force.
    pub fn leaf(&self) -> Option<Leaf> {
        self.current.load().leaf.clone()
    }

    /// The trust in force.
    pub fn trust(&self) -> Arc<TrustRoots> {
        Arc::clone(&self.current.load().trust)
    }

    /// To dial `expected` and nobody else, presenting our leaf.
    ///
    /// # Errors
    /// While there is no leaf or no trust.
    pub fn client_config(
        &self,
        expected: &SpiffeId,
        alpn: Alpn,
    ) -> Result<Arc<ClientConfig>, NotYet> {
        self.client(expected, alpn, Presents::Leaf)
    }

    /// To dial `expected` and nobody else, presenting nothing: for asking for a certificate, which
    /// must also work without one and with an expired one.
    ///
    /// # Errors
    /// While there is no trust.
    pub fn anonymous_client_config(
        &self,
        expected: &SpiffeId,
        alpn: Alpn,
    ) -> Result<Arc<ClientConfig>, NotYet> {
        self.client(expected, alpn, Presents::Nothing)
    }

    fn client(
        &self,
        expected: &SpiffeId,
        alpn: Alpn,
        presents: Presents,
    ) -> Result<Arc<ClientConfig>, NotYet> {
        let current = self.current.load();
        let key = ClientKey {
            expected: expected.clone(),
            alpn,
            presents,
        };
        let mut clients = current.clients.lock();
        if let Some(config) = clients.get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build_client(&current, &key)?);
        if clients.len() >= MAX_CLIENT_CONFIGS {
            clients.clear();
        }
        clients.insert(key, Arc::clone(&config));
        Ok(config)
    }

    /// To be dialled by anybody whom we trust, over one of `alpn` in that order of preference.
    ///
    /// # Errors
    /// While there is no leaf or no trust.
    pub fn server_config(
        &self,
        alpn: &'static [Alpn],
        auth: ClientAuth,
    ) -> Result<Arc<ServerConfig>, NotYet> {
        let current = self.current.load();
        let mut servers = current.servers.lock();
        if let Some(config) = servers.get(&(alpn, auth)) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(build_server(&current, alpn, auth)?);
        servers.insert((alpn, auth), Arc::clone(&config));
        Ok(config)
    }
}

fn alpn_protocols(alpn: &[Alpn]) -> Vec<Vec<u8>> {
    alpn.iter().map(|alpn| alpn.as_bytes().to_vec()).collect()
}

#[expect(
    clippy::expect_used,
    reason = "the provider is a constant with TLS 1.3 suites"
)]
fn build_client(snapshot: &Snapshot, key: &ClientKey) -> Result<ClientConfig, NotYet> {
    if snapshot.trust.is_empty() {
        return Err(NotYet::Trust);
    }
    let verifier = Arc::new(ServerVerifier {
        roots: Arc::clone(&snapshot.trust),
        expected: key.expected.clone(),
    });
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 suites")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match key.presents {
        Presents::Leaf => {
            let leaf = snapshot.leaf.as_ref().ok_or(NotYet::Leaf)?;
            let resolver = SingleCertAndKey::from(Arc::clone(leaf.certified()));
            builder.with_client_cert_resolver(Arc::new(resolver))
        }
        Presents::Nothing => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn_protocols(&[key.alpn]);
    // A resumed session keeps the peer's old certificate and skips the verifier: a changed bundle
    // would not be noticed. And there is no name to send.
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.enable_early_data = false;
    Ok(config)
}

#[expect(
    clippy::expect_used,
    reason = "the provider is a constant with TLS 1.3 suites"
)]
fn build_server(
    snapshot: &Snapshot,
    alpn: &[Alpn],
    auth: ClientAuth,
) -> Result<ServerConfig, NotYet> {
    let leaf = snapshot.leaf.as_ref().ok_or(NotYet::Leaf)?;
    if snapshot.trust.is_empty() {
        return Err(NotYet::Trust);
    }
    let verifier = Arc::new(ClientVerifier {
        roots: Arc::clone(&snapshot.trust),
        auth,
    });
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .expect("the provider has TLS 1.3 suites")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(
            leaf.certified(),
        ))));
    config.alpn_protocols = alpn_protocols(alpn);
    // Our order of suites holds also for a client with another one.
    config.ignore_client_order = true;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.max_early_data_size = 0;
    Ok(config)
}

#[cfg(test)]
mod tests;
