//! What is said on one stream to the control plane, sans-IO: messages in, messages out, time as an argument nowhere.
//!
//! States: a new stream says Hello with the versions held, then subscribes every name again; the server answers each and
//! sends only what differs. From then on names come and go, and each batch is acknowledged once it is in force. A batch
//! is acknowledged by its nonce, with what was refused.

use std::collections::{BTreeMap, BTreeSet};
use weft_api::{SCHEMA, names, pb};
use weft_model::{
    resource::{Name, ResourceName, Version},
    workload::WorkloadName,
};

/// The client's half of the conversation. It outlives a stream: subscriptions are remembered.
#[derive(Debug)]
pub struct Session {
    workload: WorkloadName,
    subscribed: BTreeSet<Name>,
    /// Names of the workload itself, never unsubscribed.
    own: BTreeSet<Name>,
    synced: bool,
}

impl Session {
    /// A session of `workload`, whose own container ports are `ports`.
    #[must_use]
    pub fn new(workload: WorkloadName, ports: impl IntoIterator<Item = u16>) -> Self {
        let mut own: BTreeSet<Name> = ports.into_iter().map(Name::Inbound).collect();
        own.extend([Name::Trust, Name::Workload]);
        Self {
            workload,
            subscribed: own.clone(),
            own,
            synced: false,
        }
    }

    /// The messages that open a stream.
    #[must_use]
    pub fn open(&self, held: &BTreeMap<ResourceName, Version>) -> [pb::ClientMsg; 2] {
        let known = held
            .iter()
            .map(|(name, version)| (name.to_string(), bytes::Bytes::copy_from_slice(&version.0)))
            .collect();
        let hello = pb::Hello {
            workload: self.workload.to_string(),
            proxy_version: env!("CARGO_PKG_VERSION").to_owned(),
            schema: SCHEMA,
            features: Vec::new(),
            known,
        };
        [
            message(pb::client_msg::Msg::Hello(hello)),
            subscribe(&self.subscribed),
        ]
    }

    /// A name is wanted. None: it is subscribed already.
    pub fn want(&mut self, name: Name) -> Option<pb::ClientMsg> {
        let message = subscribe([&name]);
        self.subscribed.insert(name).then_some(message)
    }

    /// Names are no longer used. The workload's own stay.
    pub fn release(&mut self, unused: &[Name]) -> Option<pb::ClientMsg> {
        let gone: Vec<pb::Name> = unused
            .iter()
            .filter(|name| !self.own.contains(name) && self.subscribed.remove(name))
            .map(names::encode)
            .collect();
        (!gone.is_empty()).then(|| {
            message(pb::client_msg::Msg::Unsubscribe(pb::Unsubscribe {
                names: gone,
            }))
        })
    }

    /// Whether `name` is subscribed now.
    #[must_use]
    pub fn wants(&self, name: &Name) -> bool {
        self.subscribed.contains(name)
    }

    /// Whether `name` belongs to the workload itself.
    #[must_use]
    pub fn is_own(&self, name: &Name) -> bool {
        self.own.contains(name)
    }

    /// A batch is in force. Gives its acknowledgement.
    pub fn acknowledge(
        &mut self,
        batch: &pb::ServerMsg,
        rejects: Vec<pb::Reject>,
    ) -> pb::ClientMsg {
        self.synced |= batch.initial_sync_done;
        message(pb::client_msg::Msg::Ack(pb::Ack {
            nonce: batch.nonce,
            rejects,
        }))
    }

    /// Whether the workload's own configuration has been in force once.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.synced
    }
}

fn message(msg: pb::client_msg::Msg) -> pb::ClientMsg {
    pb::ClientMsg { msg: Some(msg) }
}

fn subscribe<'a>(wanted: impl IntoIterator<Item = &'a Name>) -> pb::ClientMsg {
    let wanted = wanted.into_iter().map(names::encode).collect();
    message(pb::client_msg::Msg::Subscribe(pb::Subscribe {
        names: wanted,
        corr: 0,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new("shop/cart-0".parse().unwrap(), [8080])
    }

    fn named(message: &pb::ClientMsg) -> usize {
        match message.msg.as_ref().unwrap() {
            pb::client_msg::Msg::Subscribe(it) => it.names.len(),
            pb::client_msg::Msg::Unsubscribe(it) => it.names.len(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_stream_asks_again_for_everything() {
        let mut session = session();
        let shop = Name::Authority {
            host: "shop".to_owned(),
            port: 80,
        };
        assert!(session.want(shop.clone()).is_some());
        assert!(session.want(shop).is_none());
        let [hello, again] = session.open(&BTreeMap::new());
        assert!(matches!(hello.msg, Some(pb::client_msg::Msg::Hello(_))));
        assert_eq!(named(&again), 4);
    }

    #[test]
    fn what_is_unused_is_released_and_the_workload_s_own_is_kept() {
        let mut session = session();
        let shop = Name::Authority {
            host: "shop".to_owned(),
            port: 80,
        };
        session.want(shop.clone());
        let released = session
            .release(&[shop.clone(), Name::Trust, Name::Inbound(8080)])
            .unwrap();
        assert_eq!(named(&released), 1);
        assert!(session.release(&[shop]).is_none());
    }

    #[test]
    fn it_is_synced_once_a_batch_says_so() {
        let mut session = session();
        let batch = pb::ServerMsg {
            nonce: 7,
            initial_sync_done: true,
            ..Default::default()
        };
        let ack = session.acknowledge(&batch, Vec::new());
        assert!(session.is_synced());
        assert!(matches!(ack.msg, Some(pb::client_msg::Msg::Ack(ack)) if ack.nonce == 7));
    }
}
