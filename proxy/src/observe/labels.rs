//! Istio's standard labels: who called whom, made once per pair of workloads and then shared.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use weft_model::{Labels, host::Host, identity::SpiffeId, workload::WorkloadConfig};

/// What Istio says where nothing is known.
pub const UNKNOWN: &str = "unknown";
/// `destination_service_name` of what passes to a place outside the mesh, as in Istio.
pub const PASSTHROUGH: &str = "PassthroughCluster";
/// `source_cluster` and `destination_cluster`: Istio's name of the only cluster there is.
const CLUSTER: &str = "Kubernetes";

/// Labels of a workload that say what application and version it is, in the order that they are looked for.
const APP: [&str; 2] = ["app", "app.kubernetes.io/name"];
const VERSION: [&str; 2] = ["version", "app.kubernetes.io/version"];
const CANONICAL_SERVICE: [&str; 3] = [
    "service.istio.io/canonical-name",
    "app.kubernetes.io/name",
    "app",
];
const CANONICAL_REVISION: [&str; 3] = [
    "service.istio.io/canonical-revision",
    "app.kubernetes.io/version",
    "version",
];

/// One side of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party {
    /// The Deployment or other owner.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// SPIFFE URI.
    pub principal: String,
    /// Label `app`.
    pub app: String,
    /// Label `version`.
    pub version: String,
    /// Istio's canonical service.
    pub canonical_service: String,
    /// Istio's canonical revision.
    pub canonical_revision: String,
}

impl Default for Party {
    fn default() -> Self {
        let unknown = || UNKNOWN.to_owned();
        Self {
            workload: unknown(),
            namespace: unknown(),
            principal: unknown(),
            app: unknown(),
            version: unknown(),
            canonical_service: unknown(),
            canonical_revision: "latest".to_owned(),
        }
    }
}

impl Party {
    /// A workload by what is declared of it.
    #[must_use]
    pub fn new(workload: &str, namespace: &str, id: Option<&SpiffeId>, labels: &Labels) -> Self {
        let first = |names: &[&str]| names.iter().find_map(|name| labels.get(*name)).cloned();
        let unknown = || UNKNOWN.to_owned();
        Self {
            workload: workload.to_owned(),
            namespace: namespace.to_owned(),
            principal: id.map_or_else(unknown, |id| id.as_str().to_owned()),
            app: first(&APP).unwrap_or_else(unknown),
            version: first(&VERSION).unwrap_or_else(unknown),
            canonical_service: first(&CANONICAL_SERVICE).unwrap_or_else(|| workload.to_owned()),
            canonical_revision: first(&CANONICAL_REVISION).unwrap_or_else(|| "latest".to_owned()),
        }
    }

    /// The proxy's own workload.
    #[must_use]
    pub fn own(config: &WorkloadConfig) -> Self {
        let namespace = &config.name.namespace;
        Self::new(
            &config.workload,
            namespace,
            Some(&config.identity),
            &config.labels,
        )
    }

    /// A peer of whom only the identity is known.
    #[must_use]
    pub fn identified(id: &SpiffeId) -> Self {
        Self {
            namespace: id.namespace().to_owned(),
            principal: id.as_str().to_owned(),
            ..Self::default()
        }
    }
}

/// The Service of an edge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// Full name.
    pub host: String,
    /// Short name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
}

impl Default for Service {
    fn default() -> Self {
        let unknown = || UNKNOWN.to_owned();
        Self {
            host: unknown(),
            name: unknown(),
            namespace: unknown(),
        }
    }
}

impl Service {
    /// By its full name: `<name>.<namespace>.svc.<domain>`, or a name of another form, which stands for itself.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let text = host.as_str();
        let mut parts = text.splitn(4, '.');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(namespace), Some("svc")) => Self {
                host: text.to_owned(),
                name: name.to_owned(),
                namespace: namespace.to_owned(),
            },
            _ => Self {
                host: text.to_owned(),
                name: text.to_owned(),
                namespace: UNKNOWN.to_owned(),
            },
        }
    }

    /// What is outside the mesh.
    #[must_use]
    pub fn outside() -> Self {
        Self {
            name: PASSTHROUGH.to_owned(),
            ..Self::default()
        }
    }
}

/// Which side counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reporter {
    /// The client's proxy.
    Source,
    /// The server's proxy.
    Destination,
}

/// `connection_security_policy`: what the inbound saw. A client's proxy says `unknown`, as in Istio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Security {
    /// Mutual TLS.
    Mutual,
    /// Plaintext.
    None,
    /// Not this side's to say.
    Unknown,
}

impl Security {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mutual => "mutual_tls",
            Self::None => "none",
            Self::Unknown => UNKNOWN,
        }
    }
}

/// Labels that all requests between two workloads to one Service share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EdgeLabels {
    /// Who counts.
    pub reporter: Reporter,
    /// The client.
    pub source: Party,
    /// The server.
    pub destination: Party,
    /// What the client addressed.
    pub service: Service,
    /// How it came.
    pub security: Security,
}

/// `request_protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestProtocol {
    /// HTTP of any version.
    Http,
    /// gRPC.
    Grpc,
    /// Bytes.
    Tcp,
}

impl RequestProtocol {
    /// The label's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
        }
    }
}

impl EncodeLabelSet for EdgeLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        let reporter = match self.reporter {
            Reporter::Source => "source",
            Reporter::Destination => "destination",
        };
        let (source, destination, service) = (&self.source, &self.destination, &self.service);
        for pair in [
            ("reporter", reporter),
            ("source_workload", &source.workload),
            ("source_canonical_service", &source.canonical_service),
            ("source_canonical_revision", &source.canonical_revision),
            ("source_workload_namespace", &source.namespace),
            ("source_principal", &source.principal),
            ("source_app", &source.app),
            ("source_version", &source.version),
            ("source_cluster", CLUSTER),
            ("destination_workload", &destination.workload),
            ("destination_workload_namespace", &destination.namespace),
            ("destination_principal", &destination.principal),
            ("destination_app", &destination.app),
            ("destination_version", &destination.version),
            ("destination_service", &service.host),
            (
                "destination_canonical_service",
                &destination.canonical_service,
            ),
            (
                "destination_canonical_revision",
                &destination.canonical_revision,
            ),
            ("destination_service_name", &service.name),
            ("destination_service_namespace", &service.namespace),
            ("destination_cluster", CLUSTER),
            ("connection_security_policy", self.security.as_str()),
        ] {
            prometheus_client::encoding::EncodeLabel::encode(&pair, encoder.encode_label())?;
        }
        Ok(())
    }
}
