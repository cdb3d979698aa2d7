//! What connections are pooled by.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use weft_model::{cluster::ClusterName, identity::SpiffeId};

static NEXT: AtomicU64 = AtomicU64::new(0);

/// One place to connect to, as one cluster sees it: the key of a pool. Two that differ in anything never share a
/// connection, so no change of policy is outlived by one. The certificate's version joins in the pool.
#[derive(Debug)]
pub struct Upstream {
    /// Number of this key, unique in the process: what pools hash.
    pub(crate) id: u64,
    /// Where to dial.
    pub address: SocketAddr,
    /// Who must answer. None: plaintext.
    pub peer: Option<SpiffeId>,
    /// Whose policy it is. None: the application itself, or a destination outside the mesh.
    pub cluster: Option<ClusterName>,
    /// Bound on connect and handshake.
    pub connect_timeout: Duration,
    /// What stands there.
    pub role: Role,
}

/// What stands at an [`Upstream`]'s address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Another workload, or a place outside the mesh.
    Peer,
    /// The workload's own application.
    Application,
}

impl Upstream {
    /// A new key.
    #[must_use]
    pub fn new(
        address: SocketAddr,
        peer: Option<SpiffeId>,
        cluster: Option<ClusterName>,
        connect_timeout: Duration,
        role: Role,
    ) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
            address,
            peer,
            cluster,
            connect_timeout,
            role,
        }
    }

    /// Whether connections of the two can be each other's.
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.address == other.address
            && self.peer == other.peer
            && self.cluster == other.cluster
            && self.role == other.role
            && self.connect_timeout == other.connect_timeout
    }
}
