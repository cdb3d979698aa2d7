//! A document as an object: which kind it is, what it is called, and what it becomes.
//!
//! Workloads and their configuration are the supervisor's business and are passed over; Services are read here; everything
//! else is a policy object, which `weft-translate` judges, also if nobody knows its kind.

use super::{FileProblem, Lines, codes, document::Document, memory::Place};
use crate::source::{Origin, PolicyObject, Service, ServiceName, ServicePort, Target};
use k8s_openapi::{api::core::v1 as core, apimachinery::pkg::util::intstr::IntOrString};
use serde_json::{Map, Value};
use std::sync::Arc;
use weft_model::{policy::PolicyMeta, problem::Severity, protocol::Protocol, source::ObjectRef};
use weft_translate::{Context, Identity};

/// What a document is to this source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A Kubernetes Service.
    Service,
    /// Anything that policy may be written as.
    Policy,
}

/// An object of a file.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) kind: Kind,
    pub(super) object: ObjectRef,
    /// Line of its first field.
    pub(super) line: u32,
    /// Its content, with its namespace filled in.
    pub(super) value: Arc<Value>,
    pub(super) lines: Arc<Lines>,
}

impl Manifest {
    /// The problem of a second object of the same name.
    pub(super) fn duplicate(&self, file: &Arc<str>, first: &str) -> FileProblem {
        FileProblem {
            file: Arc::clone(file),
            line: self.line,
            object: Some(self.object.clone()),
            field: "metadata.name".to_owned(),
            severity: Severity::Invalid,
            code: codes::DUPLICATE,
            reason: format!("there is another {} at {first}", self.object),
            remedy: "give it another name, or remove one of the two; the other one is in force"
                .to_owned(),
        }
    }
}

/// A document that is no usable object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    object: Option<ObjectRef>,
    line: u32,
    field: String,
    code: &'static str,
    reason: String,
    remedy: String,
}

impl Fault {
    pub(super) fn in_file(self, file: &Arc<str>) -> FileProblem {
        FileProblem {
            file: Arc::clone(file),
            line: self.line,
            object: self.object,
            field: self.field,
            severity: Severity::Invalid,
            code: self.code,
            reason: self.reason,
            remedy: self.remedy,
        }
    }
}

/// Whether a document of a JSON file is anybody's data: such a file lies in a folder for other reasons than a YAML file.
pub(super) fn is_data(document: &Document) -> bool {
    let field = |name| document.value.get(name).is_some();
    !field("apiVersion") && !field("kind")
}

/// Names a document; none when it is passed over.
pub(super) fn read(document: &Document, namespace: &str) -> Result<Option<Manifest>, Box<Fault>> {
    let fault = |field: &str, reason: &str, remedy: &str| {
        Box::new(Fault {
            object: None,
            line: document.lines.line(field),
            field: field.to_owned(),
            code: codes::NOT_AN_OBJECT,
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    let Value::Object(fields) = &document.value else {
        return Err(fault(
            "",
            "this document is no object",
            "begin it with apiVersion and kind",
        ));
    };
    let text = |field: &str, remedy: &str| match fields.get(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.as_str()),
        Some(_) => Err(fault(field, &format!("`{field}` is no text"), remedy)),
        None => Err(fault("", &format!("there is no `{field}`"), remedy)),
    };
    let api_version = text(
        "apiVersion",
        "write which API it belongs to, as in `apiVersion: networking.istio.io/v1`",
    )?;
    let kind_name = text("kind", "write what it is, as in `kind: VirtualService`")?;
    let (kind, mut object) = if (api_version, kind_name) == ("v1", "Service") {
        (Kind::Service, ObjectRef::new("Service", namespace, ""))
    } else {
        match weft_translate::identify(&document.value, namespace) {
            Identity::Policy(object) => (Kind::Policy, object),
            Identity::NotPolicy => return Ok(None),
        }
    };
    let metadata = fields.get("metadata").and_then(Value::as_object);
    let Some(name) = metadata
        .and_then(|it| it.get("name"))
        .and_then(Value::as_str)
    else {
        let remedy = "write `metadata: {name: ...}`";
        return Err(fault(
            "metadata.name",
            &format!("this {kind_name} has no name"),
            remedy,
        ));
    };
    let said = metadata
        .and_then(|it| it.get("namespace"))
        .and_then(Value::as_str);
    if kind == Kind::Service
        && let Some(said) = said
    {
        said.clone_into(&mut object.namespace);
    }
    name.clone_into(&mut object.name);
    let mut value = document.value.clone();
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        place(metadata, &object.namespace);
    }
    Ok(Some(Manifest {
        kind,
        object,
        line: document.lines.line(""),
        value: Arc::new(value),
        lines: Arc::new(document.lines.clone()),
    }))
}

/// Writes the namespace that the object is in; a cluster-wide kind has none.
fn place(metadata: &mut Map<String, Value>, namespace: &str) {
    if namespace.is_empty() {
        metadata.remove("namespace");
    } else {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
}

/// A policy object, judged. None: it is no policy, see [`read`].
pub(super) fn policy(manifest: &Manifest, place: Place, origin: Origin) -> Option<PolicyObject> {
    let object = manifest.object.clone();
    let meta = PolicyMeta {
        object,
        generation: place.generation,
        created: place.created,
    };
    let translated = weft_translate::object(&manifest.value, &meta, &Context::default()).ok()?;
    Some(PolicyObject {
        object: meta.object,
        generation: place.generation,
        created: place.created,
        translated,
        manifest: Arc::clone(&manifest.value),
        origin,
    })
}

/// A Service.
pub(super) fn service(manifest: &Manifest) -> Result<Service, Box<Fault>> {
    let fault = |field: &str, reason: String, remedy: &str| {
        Box::new(Fault {
            object: Some(manifest.object.clone()),
            line: manifest.lines.line(field),
            field: field.to_owned(),
            code: codes::INVALID_SERVICE,
            reason,
            remedy: remedy.to_owned(),
        })
    };
    let read: core::Service =
        serde_json::from_value(manifest.value.as_ref().clone()).map_err(|error| {
            fault(
                "spec",
                error.to_string(),
                "write it as Kubernetes documents it",
            )
        })?;
    let spec = read.spec.unwrap_or_default();
    if spec.type_.as_deref() == Some("ExternalName") {
        let remedy = "leave it out: the name it stands for is reached as it is";
        return Err(fault(
            "spec.type",
            "ExternalName is not supported".to_owned(),
            remedy,
        ));
    }
    let mut ports = Vec::new();
    for (index, port) in spec.ports.unwrap_or_default().into_iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        let number = |value: i32, part: &str| {
            u16::try_from(value)
                .ok()
                .filter(|it| *it > 0)
                .ok_or_else(|| {
                    let field = format!("{field}.{part}");
                    fault(
                        &field,
                        format!("{value} is no port"),
                        "use a number from 1 to 65535",
                    )
                })
        };
        if port.protocol.as_deref().is_some_and(|it| it != "TCP") {
            // Only TCP is the mesh's business; the rest of the Service works.
            continue;
        }
        let own = number(port.port, "port")?;
        let name = port.name.unwrap_or_default();
        let target = match port.target_port {
            None => Target::Number(own),
            Some(IntOrString::Int(target)) => Target::Number(number(target, "targetPort")?),
            Some(IntOrString::String(text)) => match text.parse() {
                Ok(target) => Target::Number(number(target, "targetPort")?),
                Err(_) => Target::Name(text),
            },
        };
        let protocol = Protocol::declared(&name, port.app_protocol.as_deref());
        ports.push(ServicePort {
            name,
            port: own,
            target,
            protocol,
        });
    }
    if ports.is_empty() {
        let remedy = "declare at least one TCP port";
        return Err(fault(
            "spec.ports",
            "the Service has no TCP port".to_owned(),
            remedy,
        ));
    }
    let addresses = spec
        .cluster_ips
        .or_else(|| spec.cluster_ip.map(|it| vec![it]));
    let name = ServiceName {
        namespace: manifest.object.namespace.clone(),
        name: manifest.object.name.clone(),
    };
    let label = |text: &str| {
        !text.is_empty()
            && text.len() <= 63
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    if !label(&name.name) || !label(&name.namespace) {
        let remedy = "use lower case letters, digits and `-`, at most 63";
        return Err(fault(
            "metadata.name",
            format!("`{name}` is no name for a Service"),
            remedy,
        ));
    }
    Ok(Service {
        name,
        selector: spec.selector.unwrap_or_default(),
        ports,
        cluster_ips: addresses
            .unwrap_or_default()
            .iter()
            .filter_map(|it| it.parse().ok())
            .collect(),
    })
}
