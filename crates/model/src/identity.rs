//! SPIFFE identities as Istio writes them: `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`.
//!
//! Source: SPIFFE ID specification, section 2; the path layout is Istio's. Nothing here verifies anything: that is
//! `weft-identity`.

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// What can be wrong with an identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum IdentityError {
    /// The text is not `spiffe://td/ns/N/sa/S`.
    #[error("`{0}` is not of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>")]
    Form(String),
    /// A part is empty or has a character outside `[a-zA-Z0-9._-]`.
    #[error("`{part}` in `{text}` may only have letters, digits, `.`, `-` and `_`")]
    Characters {
        /// The offending part.
        part: String,
        /// The whole text.
        text: String,
    },
}

fn check_part(part: &str, text: &str) -> Result<(), IdentityError> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if part.is_empty() || !part.chars().all(fine) {
        return Err(IdentityError::Characters {
            part: part.to_owned(),
            text: text.to_owned(),
        });
    }
    Ok(())
}

/// The root of a set of identities, `cluster.local` by default.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TrustDomain {
    fn default() -> Self {
        Self(Arc::from(crate::limits::DEFAULT_TRUST_DOMAIN))
    }
}

impl FromStr for TrustDomain {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_part(text, text)?;
        Ok(Self(Arc::from(text.to_ascii_lowercase())))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for TrustDomain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// The identity of a workload: its ServiceAccount in a trust domain. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpiffeId {
    uri: Arc<str>,
    trust_domain_end: u32,
    namespace_end: u32,
}

impl SpiffeId {
    const SCHEME: &'static str = "spiffe://";

    /// The identity of `service_account` in `namespace`.
    ///
    /// # Errors
    /// When a part is empty or has a character that SPIFFE does not allow.
    pub fn new(
        trust_domain: &TrustDomain,
        namespace: &str,
        service_account: &str,
    ) -> Result<Self, IdentityError> {
        format!(
            "{}{trust_domain}/ns/{namespace}/sa/{service_account}",
            Self::SCHEME
        )
        .parse()
    }

    /// The whole URI.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.uri
    }

    /// The URI without its scheme: what Istio's policies call a principal.
    #[must_use]
    pub fn principal(&self) -> &str {
        self.uri.get(Self::SCHEME.len()..).unwrap_or_default()
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        self.uri
            .get(Self::SCHEME.len()..self.trust_domain_end as usize)
            .unwrap_or_default()
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        let start = self.trust_domain_end as usize + "/ns/".len();
        self.uri
            .get(start..self.namespace_end as usize)
            .unwrap_or_default()
    }

    /// The ServiceAccount.
    #[must_use]
    pub fn service_account(&self) -> &str {
        self.uri
            .get(self.namespace_end as usize + "/sa/".len()..)
            .unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = IdentityError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || IdentityError::Form(text.to_owned());
        let rest = text.strip_prefix(Self::SCHEME).ok_or_else(form)?;
        let parts: Vec<&str> = rest.split('/').collect();
        let [trust_domain, "ns", namespace, "sa", service_account] = parts[..] else {
            return Err(form());
        };
        for part in [trust_domain, namespace, service_account] {
            check_part(part, text)?;
        }
        let trust_domain_end = Self::SCHEME.len() + trust_domain.len();
        let namespace_end = trust_domain_end + "/ns/".len() + namespace.len();
        let too_long = |_| IdentityError::Form(text.to_owned());
        Ok(Self {
            uri: Arc::from(text),
            trust_domain_end: u32::try_from(trust_domain_end).map_err(too_long)?,
            namespace_end: u32::try_from(namespace_end).map_err(too_long)?,
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

impl Serialize for SpiffeId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_an_identity_are_found() {
        let id: SpiffeId = "spiffe://cluster.local/ns/production/sa/order-service"
            .parse()
            .unwrap();
        assert_eq!(id.trust_domain(), "cluster.local");
        assert_eq!(id.namespace(), "production");
        assert_eq!(id.service_account(), "order-service");
        assert_eq!(
            id.principal(),
            "cluster.local/ns/production/sa/order-service"
        );
    }

    #[test]
    fn what_is_no_identity_is_refused() {
        for bad in [
            "",
            "spiffe://",
            "https://cluster.local/ns/a/sa/b",
            "spiffe://cluster.local/ns/a",
            "spiffe://cluster.local/ns//sa/b",
            "spiffe://cluster.local/ns/a/sa/b/c",
            "spiffe://cluster.local/ns/a b/sa/c",
        ] {
            assert!(bad.parse::<SpiffeId>().is_err(), "{bad}");
        }
    }
}
