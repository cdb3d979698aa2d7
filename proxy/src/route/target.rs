//! What an acceptor knows of where a connection goes.

use super::{Destination, Outside, lookup};
use crate::{error::ProxyError, shard::Proxy};
use http::uri::Authority;
use std::net::SocketAddr;
use weft_model::{host::Host, resource::Name};

/// Port of an authority that names none.
const HTTP_PORT: u16 = 80;

/// What is known when a connection is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Nothing: each request says (the explicit proxy listener).
    EachRequest,
    /// A name: a Service's loopback listener, or what CONNECT asked for.
    Named(Name),
    /// The address that the client dialled before redirection.
    Address(SocketAddr),
}

impl Target {
    /// The listener of a Service.
    #[must_use]
    pub fn service(host: &Host, port: u16) -> Self {
        Self::Named(Name::Authority {
            host: host.as_str().to_owned(),
            port,
        })
    }

    /// Where the connection goes, as far as that is known without a request.
    ///
    /// # Errors
    /// When the control plane has not answered, or the destination is this proxy.
    pub async fn destination(&self, proxy: &Proxy) -> Result<Option<Destination>, ProxyError> {
        match self {
            Self::EachRequest => Ok(None),
            Self::Named(name) => named(proxy, name).await.map(Some),
            Self::Address(address) => {
                if proxy.is_own(*address) {
                    return Err(ProxyError::LoopDetected { address: *address });
                }
                Ok(Some(
                    match lookup(&proxy.tables, &Name::Outbound(*address)).await? {
                        Some(policy) => Destination::Mesh(policy),
                        None => Destination::Outside(Outside::Address(*address)),
                    },
                ))
            }
        }
    }

    /// Where a request goes. `authority` is what it names.
    ///
    /// # Errors
    /// When the control plane has not answered, or the request names nothing and the connection knows nothing.
    pub async fn of_request(
        &self,
        proxy: &Proxy,
        authority: Option<&Authority>,
    ) -> Result<Destination, ProxyError> {
        let known = self.destination(proxy).await?;
        match (known, authority) {
            (Some(Destination::Mesh(policy)), _) => Ok(Destination::Mesh(policy)),
            // The address belongs to no Service, so the authority may name one; if not, the address stands.
            (Some(Destination::Outside(Outside::Address(address))), Some(authority)) => {
                match named(proxy, &authority_name(authority)).await? {
                    Destination::Mesh(policy) => Ok(Destination::Mesh(policy)),
                    Destination::Outside(_) => Ok(Destination::Outside(Outside::Address(address))),
                }
            }
            (Some(outside), _) => Ok(outside),
            (None, Some(authority)) => named(proxy, &authority_name(authority)).await,
            (None, None) => Err(ProxyError::BadAuthority {
                reason: "neither its target nor a Host header says where it goes".to_owned(),
            }),
        }
    }
}

async fn named(proxy: &Proxy, name: &Name) -> Result<Destination, ProxyError> {
    if let Some(policy) = lookup(&proxy.tables, name).await? {
        return Ok(Destination::Mesh(policy));
    }
    Ok(Destination::Outside(match name {
        Name::Outbound(address) => Outside::Address(*address),
        Name::Authority { host, port } => Outside::Name {
            host: host.clone(),
            port: *port,
        },
        Name::Inbound(_) | Name::Trust | Name::Workload => {
            return Err(ProxyError::BadAuthority {
                reason: "it names no destination".to_owned(),
            });
        }
    }))
}

/// An authority as the control plane is asked for it: lower case, with its port.
#[must_use]
pub fn authority_name(authority: &Authority) -> Name {
    let host = authority.host().trim_end_matches('.').to_ascii_lowercase();
    Name::Authority {
        host,
        port: authority.port_u16().unwrap_or(HTTP_PORT),
    }
}
