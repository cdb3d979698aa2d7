//! Who is at the other end of an inbound connection, and the edges that its requests are counted on.

use crate::{
    headers,
    observe::{
        Observe, Own,
        labels::{Party, Security, Service},
        peer,
        series::Edge,
    },
    policy::Arrival,
};
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use smallvec::SmallVec;
use std::sync::Arc;
use weft_identity::peer::PeerIdentity;

/// Edges remembered per connection: a peer calls few of the workload's Services.
const EDGES_MAX: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Source {
    peer: Option<PeerIdentity>,
    /// What the application is told of the peer.
    forwarded: Option<HeaderValue>,
    edges: Mutex<SmallVec<[Known; 1]>>,
}

#[derive(Debug)]
struct Known {
    said: Option<HeaderValue>,
    own: Arc<Own>,
    edge: Arc<Edge>,
}

impl Source {
    /// A client with a certificate.
    pub(super) fn peer(peer: PeerIdentity) -> Self {
        // A SPIFFE id has only characters that a header may have.
        let forwarded = HeaderValue::try_from(format!("URI={}", peer.id)).ok();
        Self {
            peer: Some(peer),
            forwarded,
            edges: Mutex::default(),
        }
    }

    /// Anybody.
    pub(super) fn stranger() -> Self {
        Self {
            peer: None,
            forwarded: None,
            edges: Mutex::default(),
        }
    }

    /// Its verified identity.
    pub(super) fn identity(&self) -> Option<&PeerIdentity> {
        self.peer.as_ref()
    }

    /// The header value that tells the application who calls.
    pub(super) fn forwarded(&self) -> Option<&HeaderValue> {
        self.forwarded.as_ref()
    }

    /// How it came.
    pub(super) fn arrival(&self) -> Arrival {
        match self.peer {
            Some(_) => Arrival::Mutual,
            None => Arrival::Plaintext,
        }
    }

    /// Takes what the client's proxy says out of a request's head and gives the edge that it belongs to. What a stranger
    /// says is not believed.
    pub(super) fn edge(
        &self,
        observe: &Observe,
        own: &Arc<Own>,
        request: &mut HeaderMap,
    ) -> Arc<Edge> {
        let said = request
            .remove(headers::PEER)
            .filter(|_| self.peer.is_some());
        self.edge_as_said(observe, own, said)
    }

    /// The edge of opaque connections.
    pub(super) fn edge_of_bytes(&self, observe: &Observe, own: &Arc<Own>) -> Arc<Edge> {
        self.edge_as_said(observe, own, None)
    }

    fn edge_as_said(
        &self,
        observe: &Observe,
        own: &Arc<Own>,
        said: Option<HeaderValue>,
    ) -> Arc<Edge> {
        let mut edges = self.edges.lock();
        let known = edges
            .iter()
            .find(|known| known.said == said && Arc::ptr_eq(&known.own, own));
        if let Some(known) = known {
            return Arc::clone(&known.edge);
        }
        let (party, service, security) = match (&self.peer, &said) {
            (Some(peer), Some(said)) => {
                let (party, service) = peer::decode(said, &peer.id, &own.party.namespace);
                (party, service, Security::Mutual)
            }
            (Some(peer), None) => (
                Party::identified(&peer.id),
                Service::default(),
                Security::Mutual,
            ),
            (None, _) => (Party::default(), Service::default(), Security::None),
        };
        let edge = observe.inbound(own, party, service, security);
        if edges.len() >= EDGES_MAX {
            edges.clear();
        }
        edges.push(Known {
            said,
            own: Arc::clone(own),
            edge: Arc::clone(&edge),
        });
        edge
    }
}
