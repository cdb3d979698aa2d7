//! The one entry for a document of any kind, as it lies in a folder or arrives at a webhook.

use crate::{
    Context, authorization_policy, destination_rule,
    kinds::{self, Recognized},
    mesh_config, peer_authentication,
    report::{Fault, Report},
    request_authentication, service_entry, strict, virtual_service, workload_entry,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use weft_crds::kind::{Kind, Scope};
use weft_model::{
    policy::{Policy, PolicyMeta, Translated},
    source::ObjectRef,
};

/// The document is a plain Kubernetes object, or another product's: none of this crate's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a policy")]
pub struct NotPolicy;

/// What a document is, before it is translated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A policy, or something that only looks like one: [`object`] says what is wrong with it.
    Policy(ObjectRef),
    /// See [`NotPolicy`].
    NotPolicy,
}

/// Names a document. One without a namespace is in `default_namespace`, unless its kind is
/// cluster-wide.
#[must_use]
pub fn identify(document: &Value, default_namespace: &str) -> Identity {
    let recognized = kinds::recognize(document);
    if matches!(recognized, Recognized::NotPolicy) {
        return Identity::NotPolicy;
    }
    let text = |pointer| {
        document
            .pointer(pointer)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    let cluster_wide =
        matches!(recognized, Recognized::Policy(kind) if kind.scope() == Scope::Cluster);
    let namespace = if cluster_wide {
        ""
    } else {
        text("/metadata/namespace").unwrap_or(default_namespace)
    };
    Identity::Policy(ObjectRef::new(
        text("/kind").unwrap_or("object"),
        namespace,
        text("/metadata/name").unwrap_or_default(),
    ))
}

/// Translates a document; `meta` names it (see [`identify`]) and gives its generation and age.
///
/// Besides what the translation of its kind finds, the problems name unknown and removed fields,
/// wrong types, values out of bounds, and kinds that Weft does not know.
///
/// # Errors
/// When the document is no policy.
pub fn object(
    document: &Value,
    meta: &PolicyMeta,
    context: &Context,
) -> Result<Translated<Policy>, NotPolicy> {
    let kind = match kinds::recognize(document) {
        Recognized::Policy(kind) => kind,
        Recognized::NotPolicy => return Err(NotPolicy),
        Recognized::Unsupported { field, fault } => {
            let mut report = Report::new(&meta.object);
            report.invalid(field, fault);
            return Ok(report.finish(None));
        }
    };
    Ok(match kind {
        Kind::VirtualService => typed(kind, document, meta, |spec| {
            virtual_service::translate(meta, &spec, context).map(Policy::VirtualService)
        }),
        Kind::DestinationRule => typed(kind, document, meta, |spec| {
            destination_rule::translate(meta, &spec, context).map(Policy::DestinationRule)
        }),
        Kind::ServiceEntry => typed(kind, document, meta, |spec| {
            service_entry::translate(meta, &spec).map(Policy::Inert)
        }),
        Kind::WorkloadEntry => typed(kind, document, meta, |spec| {
            workload_entry::translate(meta, &spec).map(Policy::Inert)
        }),
        Kind::PeerAuthentication => typed(kind, document, meta, |spec| {
            peer_authentication::translate(meta, &spec, context).map(Policy::PeerAuthentication)
        }),
        Kind::AuthorizationPolicy => typed(kind, document, meta, |spec| {
            authorization_policy::translate(meta, &spec)
        }),
        Kind::RequestAuthentication => typed(kind, document, meta, |spec| {
            request_authentication::translate(meta, &spec).map(Policy::RefuseAll)
        }),
        Kind::MeshConfig => typed(kind, document, meta, |spec| {
            mesh_config::translate(meta, &spec, context).map(Policy::MeshConfig)
        }),
    })
}

/// Compares a document with its kind's schema, and translates it if it can be read.
fn typed<S: DeserializeOwned>(
    kind: Kind,
    document: &Value,
    meta: &PolicyMeta,
    translate: impl FnOnce(S) -> Translated<Policy>,
) -> Translated<Policy> {
    let mut report = Report::new(&meta.object);
    let spec = strict::spec(kind, document, &mut report);
    let spec = spec.and_then(|spec| match serde_json::from_value::<S>(spec) {
        Ok(spec) => Some(spec),
        Err(error) => {
            report.invalid(
                "spec",
                Fault::new(
                    "InvalidObject",
                    format!("cannot be read: {error}"),
                    "compare it with the kind's documentation",
                ),
            );
            None
        }
    });
    let translated = spec.map(translate);
    let mut value = None;
    if let Some(translated) = translated {
        value = translated.value;
        report.extend(translated.problems);
    }
    report.finish(value)
}
