//! The mesh's authority and the controller's own identity.
//!
//! Place: beside the configuration's way. The authority is made at the first start and loaded again afterwards: a killed
//! controller must not orphan its proxies. The root's key is thrown away once it has signed the issuer. The controller's
//! own leaf is signed here too and renewed like anybody's; the port reads it from the [`IdentityStore`].

use crate::run_folder::RunFolder;
use std::{sync::Arc, time::SystemTime};
use weft_identity::{
    ca::{Ca, CaError, CaPem, ISSUER_LIFETIME, LeafRequest, ROOT_LIFETIME, SignedLeaf},
    renewal::Schedule,
    store::IdentityStore,
    trust::{TrustError, TrustRoots, bundle_to_pem},
};
use weft_model::{
    identity::{IdentityError, SpiffeId, TrustDomain},
    limits,
    trust::TrustBundle,
};
use weft_runtime::{drain::DrainWatch, task};

/// Where in the spread of renewals the controller's own lies: there is nobody to be apart from.
const SPREAD: f64 = 0.5;

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The run folder cannot be read or written.
    #[error("the authority's files cannot be read or written")]
    Io(#[from] std::io::Error),
    /// It cannot sign, or what is stored is damaged.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// Its root cannot be trusted by ourselves.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The trust domain makes no identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// See the module.
#[derive(Debug)]
pub struct Authority {
    ca: Ca,
    own: SpiffeId,
    store: IdentityStore,
}

impl Authority {
    /// Loads the stored authority, or makes one.
    ///
    /// # Errors
    /// When what is stored is damaged, or cannot be stored.
    pub fn open(
        run_folder: &RunFolder,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Arc<Self>, AuthorityError> {
        let ca = match run_folder.load_authority()? {
            Some((chain, key)) => Ca::from_pem(trust_domain, &CaPem { chain, key })?,
            None => {
                let root = Ca::create_root(trust_domain, ROOT_LIFETIME, now)?;
                let issuer = root.create_issuer(ISSUER_LIFETIME, now)?;
                let pem = issuer.to_pem();
                let anchors = bundle_to_pem(&issuer.trust_bundle());
                run_folder.save_authority(trust_domain.as_str(), &pem.chain, &pem.key, &anchors)?;
                issuer
            }
        };
        let own = SpiffeId::new(
            trust_domain,
            limits::CONTROL_PLANE_NAMESPACE,
            limits::CONTROL_PLANE_SERVICE_ACCOUNT,
        )?;
        let store = IdentityStore::new();
        store.set_trust(TrustRoots::new([&ca.trust_bundle()])?);
        store.set_leaf(ca.issue(&own, limits::CERTIFICATE_LIFETIME, now)?);
        Ok(Arc::new(Self { ca, own, store }))
    }

    /// What proxies must trust.
    #[must_use]
    pub fn trust_bundle(&self) -> TrustBundle {
        self.ca.trust_bundle()
    }

    /// The controller's identity, for its port.
    #[must_use]
    pub fn store(&self) -> &IdentityStore {
        &self.store
    }

    /// Signs a leaf.
    ///
    /// # Errors
    /// When the request cannot be used or the authority has expired.
    pub fn sign(&self, request: &LeafRequest<'_>, now: SystemTime) -> Result<SignedLeaf, CaError> {
        self.ca.sign(request, now)
    }

    /// Renews the controller's own leaf until the drain begins.
    pub fn renew(self: Arc<Self>, drain: DrainWatch) {
        task::spawn("own-certificate", async move {
            let mut failures = 0;
            loop {
                let Some(leaf) = self.store.leaf() else {
                    return;
                };
                let now = SystemTime::now();
                let issued = leaf.not_before() + limits::CERTIFICATE_BACKDATE;
                let schedule = Schedule {
                    issued,
                    not_after: leaf.not_after(),
                };
                let wait = schedule.next_attempt(now, failures, SPREAD);
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = drain.signaled() => return,
                }
                match self
                    .ca
                    .issue(&self.own, limits::CERTIFICATE_LIFETIME, SystemTime::now())
                {
                    Ok(leaf) => {
                        failures = 0;
                        tracing::info!(serial = %leaf.serial(), "own certificate renewed");
                        self.store.set_leaf(leaf);
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::error!(%error, "own certificate cannot be renewed");
                    }
                }
            }
        });
    }
}
