//! Identities for tests: an authority, and stores that hold what it signs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use weft_identity::ca::{Ca, CaPem, ROOT_LIFETIME};
use weft_identity::leaf::Leaf;
use weft_identity::store::IdentityStore;
use weft_identity::trust::{TrustRoots, bundle_to_pem};
use weft_model::identity::{SpiffeId, TrustDomain};
use weft_model::limits;
use weft_model::trust::TrustBundle;

/// Lifetime of a leaf where a test does not care.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(3_600);

/// `spiffe://cluster.local/ns/<namespace>/sa/<service_account>`.
pub fn id(namespace: &str, service_account: &str) -> SpiffeId {
    SpiffeId::new(&TrustDomain::default(), namespace, service_account).expect("a plain name")
}

/// The identity that a proxy expects of its control plane.
pub fn control_plane_id() -> SpiffeId {
    id(
        limits::CONTROL_PLANE_NAMESPACE,
        limits::CONTROL_PLANE_SERVICE_ACCOUNT,
    )
}

/// An authority of the trust domain `cluster.local`.
#[derive(Debug)]
pub struct TestCa {
    ca: Ca,
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl TestCa {
    /// A new root; two of them do not trust each other.
    pub fn new() -> Self {
        Self::for_domain(&TrustDomain::default())
    }

    /// A new root of another trust domain.
    pub fn for_domain(trust_domain: &TrustDomain) -> Self {
        let ca = Ca::create_root(trust_domain, ROOT_LIFETIME, SystemTime::now());
        Self {
            ca: ca.expect("a root can be made"),
        }
    }

    /// An authority as it was stored, for example that of a running mesh.
    pub fn load(chain: &str, key: &str) -> Self {
        let pem = CaPem {
            chain: chain.to_owned(),
            key: key.to_owned(),
        };
        let ca = Ca::from_pem(&TrustDomain::default(), &pem);
        Self {
            ca: ca.expect("a stored authority can be read"),
        }
    }

    /// The authority itself.
    pub fn ca(&self) -> &Ca {
        &self.ca
    }

    /// As it is stored.
    pub fn to_pem(&self) -> CaPem {
        self.ca.to_pem()
    }

    /// What trusts it.
    pub fn bundle(&self) -> TrustBundle {
        self.ca.trust_bundle()
    }

    /// Writes the root's certificate, as it is mounted beside a proxy.
    pub fn write_root(&self, dir: &Path) -> PathBuf {
        let path = dir.join("root.pem");
        std::fs::write(&path, bundle_to_pem(&self.bundle())).expect("the folder can be written");
        path
    }

    /// A leaf that is valid now.
    pub fn leaf(&self, id: &SpiffeId) -> Leaf {
        self.leaf_made(id, SystemTime::now(), LEAF_LIFETIME)
    }

    /// A leaf that expired a minute ago.
    pub fn expired_leaf(&self, id: &SpiffeId) -> Leaf {
        let ago = LEAF_LIFETIME + Duration::from_secs(60);
        self.leaf_made(id, SystemTime::now() - ago, LEAF_LIFETIME)
    }

    /// A leaf made at a certain time.
    pub fn leaf_made(&self, id: &SpiffeId, at: SystemTime, lifetime: Duration) -> Leaf {
        self.ca
            .issue(id, lifetime, at)
            .expect("a leaf can be signed")
    }

    /// Trusts this authority and holds a leaf of it.
    pub fn store(&self, id: &SpiffeId) -> Arc<IdentityStore> {
        self.store_with(self.leaf(id))
    }

    /// Trusts this authority and holds any leaf.
    pub fn store_with(&self, leaf: Leaf) -> Arc<IdentityStore> {
        let store = self.store_without_leaf();
        store.set_leaf(leaf);
        store
    }

    /// Trusts this authority and holds nothing.
    pub fn store_without_leaf(&self) -> Arc<IdentityStore> {
        let store = IdentityStore::new();
        store.set_trust(TrustRoots::new([&self.bundle()]).expect("our own root can be read"));
        Arc::new(store)
    }
}
