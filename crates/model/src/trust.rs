//! What a proxy trusts.

use crate::identity::TrustDomain;
use serde::Serialize;

/// The anchors of a trust domain. During a rotation there are two.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TrustBundle {
    /// The domain that the anchors vouch for.
    pub trust_domain: TrustDomain,
    /// DER certificates.
    #[serde(skip)]
    pub anchors_der: Vec<Vec<u8>>,
}
