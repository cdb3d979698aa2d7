//! A workload as the laptop runs it: what of a pod template matters without containers.
//!
//! Place: [`super::manifests`] reads the objects, this module turns a pod template into a
//! [`Workload`], [`super::plan`] into instances. Pure. Invariants: what a template says and the
//! laptop cannot do is a sentence for the user, never silence; the ports here are those that the
//! YAML declares, never the allocated ones.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, PodSpec, Probe as KubeProbe};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The annotation of a pod template that replaces a command which only exists in the image.
pub const COMMAND_ANNOTATION: &str = "weft.dev/laptop-command";

/// The ServiceAccount of a pod that names none.
const DEFAULT_SERVICE_ACCOUNT: &str = "default";

/// What Kubernetes grants a pod between SIGTERM and SIGKILL when the manifest says nothing.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Replicas of one Deployment at most: a laptop, and a typing error costs a machine.
const MAX_REPLICAS: u32 = 32;

/// A Deployment, StatefulSet or Pod of the folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The kind of the object.
    pub kind: Kind,
    /// How many instances it wants.
    pub replicas: u32,
    /// The folder of its manifest: the working directory of its processes.
    pub folder: PathBuf,
    /// Labels of its pods; they make subsets and Services.
    pub labels: BTreeMap<String, String>,
    /// Makes the SPIFFE id.
    pub service_account: String,
    /// The command with its arguments, before substitution.
    pub command: Vec<String>,
    /// The container's environment, in order, before substitution.
    pub env: Vec<(String, EnvValue)>,
    /// The container ports.
    pub ports: Vec<ContainerPort>,
    /// When an instance takes traffic.
    pub readiness: Probe,
    /// Time between SIGTERM and SIGKILL.
    pub grace: Duration,
}

/// What a workload is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Replicas, numbered.
    Deployment,
    /// Replicas, numbered.
    StatefulSet,
    /// One instance under its own name.
    Pod,
}

/// One container port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its name, by which Services refer to it.
    pub name: Option<String>,
    /// The number in the YAML.
    pub number: u16,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// Text, which may refer to other variables as `$(NAME)`.
    Text(String),
    /// A fact about the instance.
    Field(Field),
}

/// What a `fieldRef` can name on a laptop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// `metadata.name`
    Name,
    /// `metadata.namespace`
    Namespace,
    /// `spec.serviceAccountName`
    ServiceAccount,
    /// `spec.nodeName`
    Node,
    /// `status.podIP`, `status.hostIP` and their plural forms
    Address,
}

/// When an instance is ready, and how often to ask.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// What is asked.
    pub check: Check,
    /// Before the first question.
    pub initial_delay: Duration,
    /// Between questions once the instance has been ready.
    pub period: Duration,
    /// For one answer.
    pub timeout: Duration,
    /// Good answers in a row that make it ready.
    pub successes: u32,
    /// Bad answers in a row that make it unready.
    pub failures: u32,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The process runs; for workloads without ports.
    Running,
    /// A TCP connection to this container port.
    Connect(u16),
    /// A GET to this container port answers 200 to 399.
    Get {
        /// The container port.
        port: u16,
        /// Path and query.
        path: String,
        /// Headers to send.
        headers: Vec<(String, String)>,
    },
}

/// Looks up `configMapKeyRef`, `secretKeyRef` and `envFrom` in the folder.
pub trait References {
    /// The entries of a ConfigMap of the namespace.
    fn config_map(&self, namespace: &str, name: &str) -> Option<&BTreeMap<String, String>>;
    /// The entries of a Secret of the namespace.
    fn secret(&self, namespace: &str, name: &str) -> Option<&BTreeMap<String, String>>;
}

/// The object around a pod template.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What it asks for; Kubernetes' default is one.
    pub replicas: Option<i32>,
    /// The folder of the manifest.
    pub folder: &'a std::path::Path,
}

impl Workload {
    /// Reads a pod template. `note` takes sentences about what the laptop does otherwise.
    ///
    /// # Errors
    /// With a sentence when the template cannot run here at all.
    pub fn read(
        owner: Owner<'_>,
        metadata: &ObjectMeta,
        spec: &PodSpec,
        references: &dyn References,
        note: &mut dyn FnMut(String),
    ) -> Result<Self, String> {
        let container = spec
            .containers
            .first()
            .ok_or_else(|| "spec.containers is empty: there is nothing to run".to_owned())?;
        if spec.containers.len() > 1 {
            let others: Vec<&str> = spec.containers.iter().skip(1).map(|c| &*c.name).collect();
            note(format!(
                "only the first container ({}) runs on a laptop, not {}",
                container.name,
                others.join(", ")
            ));
        }
        let annotation = metadata
            .annotations
            .as_ref()
            .and_then(|all| all.get(COMMAND_ANNOTATION));
        let command = match annotation {
            Some(text) => super::words::command(text)
                .map_err(|problem| format!("annotation {COMMAND_ANNOTATION} {problem}"))?,
            None => image_command(container)?,
        };
        let ports = ports(container, note);
        let readiness = readiness(container, &ports, note)?;
        let replicas = u32::try_from(owner.replicas.unwrap_or(1)).unwrap_or(0);
        if replicas > MAX_REPLICAS {
            note(format!(
                "{replicas} replicas are asked for; a laptop runs {MAX_REPLICAS}"
            ));
        }
        let grace = spec
            .termination_grace_period_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(DEFAULT_GRACE, Duration::from_secs);
        Ok(Self {
            namespace: owner.namespace.to_owned(),
            name: owner.name.to_owned(),
            kind: owner.kind,
            replicas: replicas.min(MAX_REPLICAS),
            folder: owner.folder.to_owned(),
            labels: metadata.labels.clone().unwrap_or_default(),
            service_account: spec
                .service_account_name
                .clone()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| DEFAULT_SERVICE_ACCOUNT.to_owned()),
            command,
            env: super::variables::declared(owner.namespace, container, metadata, references)?,
            ports,
            readiness,
            grace,
        })
    }

    /// The name of the instance `index`: a Pod keeps its own.
    pub fn instance(&self, index: u32) -> String {
        match self.kind {
            Kind::Pod => self.name.clone(),
            Kind::Deployment | Kind::StatefulSet => format!("{}-{index}", self.name),
        }
    }

    /// The port behind `$PORT`: the one named `http`, else the first.
    pub fn main_port(&self) -> Option<&ContainerPort> {
        self.ports
            .iter()
            .find(|port| port.name.as_deref() == Some("http"))
            .or_else(|| self.ports.first())
    }
}

/// `command` and `args`; a command that only exists in the image cannot run.
fn image_command(container: &Container) -> Result<Vec<String>, String> {
    let command = container.command.clone().unwrap_or_default();
    if command.is_empty() {
        return Err(format!(
            "container {} has no command, and that of its image is not known on a laptop: set \
             `command`, or the pod template's annotation {COMMAND_ANNOTATION}",
            container.name
        ));
    }
    Ok(command
        .into_iter()
        .chain(container.args.clone().unwrap_or_default())
        .collect())
}

/// The TCP ports of a container.
fn ports(container: &Container, note: &mut dyn FnMut(String)) -> Vec<ContainerPort> {
    let mut ports: Vec<ContainerPort> = Vec::new();
    for port in container.ports.iter().flatten() {
        let tcp = port
            .protocol
            .as_deref()
            .is_none_or(|protocol| protocol == "TCP");
        let Some(number) = u16::try_from(port.container_port)
            .ok()
            .filter(|n| *n > 0 && tcp)
        else {
            note(format!(
                "container port {} is not a TCP port: not offered",
                port.container_port
            ));
            continue;
        };
        if ports.iter().all(|known| known.number != number) {
            ports.push(ContainerPort {
                name: port.name.clone(),
                number,
            });
        }
    }
    ports
}

fn readiness(
    container: &Container,
    ports: &[ContainerPort],
    note: &mut dyn FnMut(String),
) -> Result<Probe, String> {
    let fallback = ports
        .first()
        .map_or(Check::Running, |port| Check::Connect(port.number));
    let Some(probe) = &container.readiness_probe else {
        // Kubernetes would send traffic at once. A sidecar in front of a process that does not listen
        // yet answers 503, so the laptop waits for the port.
        return Ok(Probe::of(&KubeProbe::default(), fallback));
    };
    let port_of = |port: &IntOrString| match port {
        IntOrString::Int(number) => {
            let number = u16::try_from(*number).map_err(|_| format!("{number} is no port"))?;
            ports
                .iter()
                .find(|port| port.number == number)
                .map(|port| port.number)
                .ok_or_else(|| {
                    format!(
                        "readinessProbe names port {number}, which is not among the container's \
                         ports: declare it, so that one can be allocated for it"
                    )
                })
        }
        IntOrString::String(name) => ports
            .iter()
            .find(|port| port.name.as_deref() == Some(name))
            .map(|port| port.number)
            .ok_or_else(|| format!("readinessProbe names port {name}, which does not exist")),
    };
    let check = if let Some(get) = &probe.http_get {
        if get.scheme.as_deref().is_some_and(|scheme| scheme != "HTTP") {
            note("an HTTPS readinessProbe is asked as a TCP connection on a laptop".to_owned());
            Check::Connect(port_of(&get.port)?)
        } else {
            let path = get.path.clone().unwrap_or_default();
            let slash = if path.starts_with('/') { "" } else { "/" };
            let headers = get.http_headers.iter().flatten();
            Check::Get {
                port: port_of(&get.port)?,
                path: format!("{slash}{path}"),
                headers: headers.map(|h| (h.name.clone(), h.value.clone())).collect(),
            }
        }
    } else if let Some(connect) = &probe.tcp_socket {
        Check::Connect(port_of(&connect.port)?)
    } else if let Some(grpc) = &probe.grpc {
        note("a gRPC readinessProbe is asked as a TCP connection on a laptop".to_owned());
        Check::Connect(port_of(&IntOrString::Int(grpc.port))?)
    } else {
        note("an exec readinessProbe is not run on a laptop".to_owned());
        fallback
    };
    Ok(Probe::of(probe, check))
}

impl Probe {
    /// Kubernetes' timing rules, with its defaults.
    fn of(probe: &KubeProbe, check: Check) -> Self {
        let seconds = |value: Option<i32>, default: u64, least: u64| {
            let value = value.and_then(|value| u64::try_from(value).ok());
            Duration::from_secs(value.unwrap_or(default).max(least))
        };
        let count = |value: Option<i32>, default: u32| {
            let value = value.and_then(|value| u32::try_from(value).ok());
            value.unwrap_or(default).max(1)
        };
        Self {
            check,
            initial_delay: seconds(probe.initial_delay_seconds, 0, 0),
            period: seconds(probe.period_seconds, 10, 1),
            timeout: seconds(probe.timeout_seconds, 1, 1),
            successes: count(probe.success_threshold, 1),
            failures: count(probe.failure_threshold, 3),
        }
    }
}
