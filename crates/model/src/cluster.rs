//! What a DestinationRule decides for one host, port and subset; routes only name it.

use crate::{Labels, host::Host, source::SourceRef};
use serde::{Serialize, Serializer};
use std::{fmt, str::FromStr, time::Duration};

/// Name of a cluster: `<host>:<port>[#<subset>]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterName {
    /// Full name of the Service.
    pub host: Host,
    /// The Service's port.
    pub port: u16,
    /// Subset of the DestinationRule.
    pub subset: Option<String>,
}

/// The text is not `<host>:<port>[#<subset>]`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a cluster name: <host>:<port>[#<subset>]")]
pub struct ClusterNameError(String);

impl FromStr for ClusterName {
    type Err = ClusterNameError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ClusterNameError(text.to_owned());
        let (address, subset) = match text.split_once('#') {
            Some((_, "")) => return Err(error()),
            Some((address, subset)) => (address, Some(subset.to_owned())),
            None => (text, None),
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(error)?;
        let host = host.parse().map_err(|_| error())?;
        Ok(Self {
            host,
            port: port.parse().map_err(|_| error())?,
            subset,
        })
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        self.subset
            .as_ref()
            .map_or(Ok(()), |subset| write!(f, "#{subset}"))
    }
}

impl Serialize for ClusterName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How to reach the endpoints of one host, port and subset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Cluster {
    /// Its name. The endpoints are those of [`ClusterName::host`] and port whose labels [`Cluster::labels`] select.
    pub name: ClusterName,
    /// The subset's labels; empty for all endpoints.
    pub labels: Labels,
    /// How an endpoint is chosen.
    pub load_balance: LoadBalance,
    /// Mutual TLS or not.
    pub tls: UpstreamTls,
    /// Bound on one TCP connect with its handshake.
    pub connect_timeout: Duration,
    /// The DestinationRules that say so.
    pub sources: Vec<SourceRef>,
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LoadBalance {
    /// Two at random, the one whose recent latency times its load is less (peak-EWMA).
    #[default]
    Ewma,
    /// Two at random, the one with fewer requests in flight.
    LeastRequest,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
}

/// Whether a connection is mutual TLS by Weft's identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UpstreamTls {
    /// Wherever the endpoint has an identity (Istio's automatic mutual TLS); plaintext to one that has none.
    #[default]
    Auto,
    /// Always; an endpoint without an identity cannot be used (`ISTIO_MUTUAL`).
    Mutual,
    /// Never (`DISABLE`).
    Disable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text() {
        for text in ["a.b.svc.cluster.local:80", "a.b:8080#v2"] {
            assert_eq!(text.parse::<ClusterName>().unwrap().to_string(), text);
        }
        for bad in ["", "a.b", "a.b:x", "a.b:80#", ":80"] {
            assert!(bad.parse::<ClusterName>().is_err(), "{bad}");
        }
    }
}
