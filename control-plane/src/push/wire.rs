//! Batches to protobuf and client messages to what the session understands.

use super::session::{Batch, Delta, Rejection};
use bytes::Bytes;
use std::{collections::BTreeMap, time::Duration};
use weft_api::{decode, encode, names, pb};
use weft_model::resource::{Name, ResourceName, Version};

/// A batch as it travels.
#[must_use]
pub fn batch(batch: &Batch, snapshot: u64) -> pb::ServerMsg {
    pb::ServerMsg {
        nonce: batch.nonce,
        snapshot,
        upsert: batch
            .upsert
            .iter()
            .map(|it| it.encoded.bytes.clone())
            .collect(),
        endpoints: batch.deltas.iter().map(delta).collect(),
        removed: batch.removed.iter().map(ToString::to_string).collect(),
        answers: batch
            .answers
            .iter()
            .map(|(name, it)| answer(name, it.as_ref()))
            .collect(),
        done: batch.done.clone(),
        initial_sync_done: batch.initial_sync_done,
        go_away: None,
    }
}

/// The last message of a stream that the controller ends: the proxy goes on with what it has and comes back.
#[must_use]
pub fn go_away(reason: &str, reconnect_within: Duration) -> pb::ServerMsg {
    pb::ServerMsg {
        go_away: Some(pb::GoAway {
            reconnect_within: Some(encode::duration(reconnect_within)),
            reason: reason.to_owned(),
        }),
        ..pb::ServerMsg::default()
    }
}

fn delta(delta: &Delta) -> pb::EndpointDelta {
    pb::EndpointDelta {
        name: delta.name.to_string(),
        base: Bytes::copy_from_slice(&delta.base.0),
        version: Bytes::copy_from_slice(&delta.version.0),
        upsert: delta.upsert.iter().map(encode::endpoint).collect(),
        remove: delta.remove.iter().map(|id| id.0).collect(),
        sources: encode::sources(&delta.sources),
    }
}

fn answer(name: &Name, resource: Option<&ResourceName>) -> pb::Answer {
    pb::Answer {
        name: Some(names::encode(name)),
        resource: resource.map(ToString::to_string).unwrap_or_default(),
    }
}

/// Subscription names. What this build does not know is left out: there is nothing to answer.
#[must_use]
pub fn subscribed(wanted: &[pb::Name]) -> Vec<Name> {
    wanted
        .iter()
        .filter_map(|it| names::decode(it).ok())
        .collect()
}

/// What a proxy brings along. What makes no sense is sent to it again.
#[must_use]
pub fn known(known: &BTreeMap<String, Bytes>) -> BTreeMap<ResourceName, Version> {
    known
        .iter()
        .filter_map(|(name, version)| Some((name.parse().ok()?, decode::version(version).ok()?)))
        .collect()
}

/// Refusals.
#[must_use]
pub fn rejections(rejects: &[pb::Reject]) -> Vec<Rejection> {
    rejects
        .iter()
        .map(|it| Rejection {
            name: it.name.clone(),
            field: it.field.clone(),
            reason: it.reason.clone(),
        })
        .collect()
}
