//! Host names: how a short name becomes a full one, and how a policy's host pattern is compared with a Service.
//!
//! Source: Istio VirtualService.hosts and Destination.host. A name without a dot is completed with the namespace of the
//! object that says it; a name with a dot is taken as it stands (`reviews.prod` is not completed).

use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, sync::Arc};

/// Why a host is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HostError {
    /// Empty text.
    #[error("a host name may not be empty")]
    Empty,
    /// A label that DNS does not allow.
    #[error(
        "`{0}` is not a host name: labels have letters, digits, `-` and `_`, at most 63 characters"
    )]
    Label(String),
    /// A wildcard that is not the whole first label.
    #[error("`{0}`: a wildcard must be the whole first label, as in `*.example.com`")]
    Wildcard(String),
}

/// A full host name in lower case, for example `payment-service.production.svc.cluster.local`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Host(Arc<str>);

impl Host {
    /// The name of the Service `name` in `namespace` of a cluster whose DNS domain is `domain`.
    ///
    /// # Errors
    /// When a part is no DNS label.
    pub fn service(name: &str, namespace: &str, domain: &str) -> Result<Self, HostError> {
        format!("{name}.{namespace}.svc.{domain}").parse()
    }

    /// `name` as an object in `namespace` means it: completed if it has no dot, else as it stands.
    ///
    /// # Errors
    /// When the result is no host name.
    pub fn complete(name: &str, namespace: &str, domain: &str) -> Result<Self, HostError> {
        if name.is_empty() {
            return Err(HostError::Empty);
        }
        if name.contains('.') {
            name.parse()
        } else {
            Self::service(name, namespace, domain)
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check_name(text: &str) -> Result<(), HostError> {
    if text.is_empty() {
        return Err(HostError::Empty);
    }
    let fine = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    };
    if text.len() > 253 || !text.split('.').all(fine) {
        return Err(HostError::Label(text.to_owned()));
    }
    Ok(())
}

impl FromStr for Host {
    type Err = HostError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.strip_suffix('.').unwrap_or(text);
        check_name(text)?;
        Ok(Self(Arc::from(text.to_ascii_lowercase())))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A policy's host: one name, everything below a suffix, or everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HostPattern {
    /// One full name.
    Exact(Host),
    /// `*.suffix`: every name below the suffix, not the suffix itself.
    Suffix(Host),
    /// `*`.
    Any,
}

impl HostPattern {
    /// Parses `text` as an object in `namespace` means it.
    ///
    /// # Errors
    /// When it is neither a name nor a wildcard in its first label.
    pub fn complete(text: &str, namespace: &str, domain: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        match text.strip_prefix("*.") {
            Some(suffix) if !suffix.contains('*') => Ok(Self::Suffix(suffix.parse()?)),
            _ if text.contains('*') => Err(HostError::Wildcard(text.to_owned())),
            _ => Host::complete(text, namespace, domain).map(Self::Exact),
        }
    }

    /// Whether the pattern covers `host`.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Suffix(suffix) => host
                .as_str()
                .strip_suffix(suffix.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Self::Any => true,
        }
    }

    /// Orders patterns that cover one host: the larger is the more specific (exact, then the longer suffix).
    #[must_use]
    pub fn specificity(&self) -> usize {
        match self {
            Self::Exact(_) => usize::MAX,
            Self::Suffix(suffix) => suffix.as_str().len(),
            Self::Any => 0,
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Suffix(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_dot_is_completed_and_one_with_a_dot_is_not() {
        let complete = |name| {
            Host::complete(name, "shop", "cluster.local")
                .unwrap()
                .to_string()
        };
        assert_eq!(complete("reviews"), "reviews.shop.svc.cluster.local");
        assert_eq!(complete("reviews.prod"), "reviews.prod");
        assert_eq!(
            complete("Reviews.Prod.svc.cluster.local."),
            "reviews.prod.svc.cluster.local"
        );
    }

    #[test]
    fn patterns_cover_what_istio_says() {
        let covers = |pattern: &str, host: &str| {
            HostPattern::complete(pattern, "shop", "cluster.local")
                .unwrap()
                .covers(&host.parse().unwrap())
        };
        assert!(covers("a", "a.shop.svc.cluster.local"));
        assert!(covers(
            "*.shop.svc.cluster.local",
            "a.shop.svc.cluster.local"
        ));
        assert!(!covers(
            "*.shop.svc.cluster.local",
            "shop.svc.cluster.local"
        ));
        assert!(!covers(
            "*.op.svc.cluster.local",
            "a.shop.svc.cluster.local"
        ));
        assert!(covers("*", "a.b"));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", "a*", "*a.b", "*.*.a", "a..b", "a b"] {
            assert!(
                HostPattern::complete(bad, "shop", "cluster.local").is_err(),
                "{bad}"
            );
        }
    }
}
