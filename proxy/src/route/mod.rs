//! From what a client addressed to where it goes: tables and a request become a value. No socket yet.
//!
//! By original destination first: what an acceptor knows of the address beats the Host header, so a client cannot choose
//! another Service's policy by a header. The authority counts where the address says nothing: on the explicit proxy
//! listener, and for addresses that belong to no Service.

mod target;

pub use target::{Target, authority_name};

use crate::{
    balance::{self, ClusterHandle},
    error::ProxyError,
    tables::{Found, Tables},
};
use std::{net::SocketAddr, sync::Arc};
use weft_model::{
    resource::Name,
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::SourceRef,
};
use weft_traffic::{RouteChoice, route::route, split};

/// Where a connection or request goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A Service of the mesh, by its policy.
    Mesh(Arc<OutboundPolicy>),
    /// A place outside the mesh: passed through in plaintext.
    Outside(Outside),
}

/// A place outside the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// Where the client meant to connect.
    Address(SocketAddr),
    /// What it named.
    Name {
        /// Host.
        host: String,
        /// Port.
        port: u16,
    },
}

/// The policy of `name`, if the control plane knows it.
///
/// # Errors
/// When there is no answer.
pub async fn lookup(
    tables: &Tables,
    name: &Name,
) -> Result<Option<Arc<OutboundPolicy>>, ProxyError> {
    Ok(match tables.outbound(name).await? {
        Found::Policy(policy) => Some(policy),
        Found::NotFound => None,
    })
}

/// What was decided about a request or connection, and by whom.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The policy of the Service addressed.
    pub policy: Arc<OutboundPolicy>,
    /// Index of the rule in the policy; none for opaque connections.
    pub rule: Option<usize>,
    /// Index of the block that held, in the rule's matches.
    pub block: Option<usize>,
    /// Where to.
    pub cluster: Arc<ClusterHandle>,
}

impl Decision {
    /// The rule.
    #[must_use]
    pub fn route(&self) -> Option<&HttpRoute> {
        self.policy.http.get(self.rule?)
    }

    /// The rule's name, as far as its author gave one. For logs: it is made anew.
    #[must_use]
    pub fn route_name(&self) -> Option<String> {
        let choice = RouteChoice {
            index: self.rule?,
            route: self.route()?,
            block: self.block,
        };
        choice.name().map(|name| name.to_string())
    }

    /// The objects that decided: the rule's and the cluster's.
    pub fn sources(&self) -> impl Iterator<Item = &SourceRef> {
        let rule = self.route().and_then(|route| route.source.as_ref());
        rule.into_iter().chain(&self.cluster.cluster.sources)
    }
}

/// Decides about a request: the first rule that matches, and one of its backends by weight.
///
/// # Errors
/// When no rule matches or the backend cannot be used.
pub fn http(
    tables: &Tables,
    policy: Arc<OutboundPolicy>,
    parts: &http::request::Parts,
) -> Result<Decision, ProxyError> {
    let request = weft_traffic::Request::new(&parts.method, &parts.uri, &parts.headers);
    let Some(choice) = route(&policy, &request) else {
        return Err(ProxyError::RouteNotFound {
            host: policy.host.clone(),
            port: policy.port,
        });
    };
    let (rule, block) = (choice.index, choice.block);
    let RouteAction::Forward(backends) = &choice.route.action;
    let cluster = cluster(tables, backends)?;
    Ok(Decision {
        policy,
        rule: Some(rule),
        block,
        cluster,
    })
}

/// Decides about an opaque connection.
///
/// # Errors
/// When the backend cannot be used.
pub fn tcp(tables: &Tables, policy: Arc<OutboundPolicy>) -> Result<Decision, ProxyError> {
    let cluster = cluster(tables, &policy.tcp)?;
    Ok(Decision {
        policy,
        rule: None,
        block: None,
        cluster,
    })
}

fn cluster(
    tables: &Tables,
    backends: &[WeightedBackend],
) -> Result<Arc<ClusterHandle>, ProxyError> {
    match split::choose(backends, &mut balance::chance()).map(|chosen| &chosen.backend) {
        Some(Backend::Cluster(name)) => {
            tables
                .cluster(name)
                .ok_or_else(|| ProxyError::ClusterMissing {
                    cluster: name.clone(),
                })
        }
        Some(Backend::Invalid(reason)) => Err(ProxyError::BackendInvalid {
            reason: reason.clone(),
        }),
        None => Err(ProxyError::BackendInvalid {
            reason: "the rule names no destination".to_owned(),
        }),
    }
}
