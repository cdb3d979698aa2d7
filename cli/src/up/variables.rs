//! The environment of an application process, as a kubelet and a service mesh would make it.
//!
//! Place: [`declared`] reads what a container declares, [`application`] makes the environment of
//! one instance. Pure. Order, later wins: the Services' variables, the mesh's (proxy, `PORT`,
//! `DATA_DIR`), the container's own. Two things differ from Kubernetes, because ports on one
//! machine would collide: `PORT` and `PORT_<NAME>` say which port to listen on, and a variable of
//! the container whose name has `PORT` in it and whose value is a container port is given the
//! allocated port instead.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EnvVar};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::ports::InstancePorts;
use super::services::ServiceDecl;
use super::workload::{EnvValue, Field, References, Workload};

/// What is never sent through the proxy: the application's own loopback, where the sidecar and the
/// Services' listeners are.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";

/// The same for Java.
const JAVA_NO_PROXY: &str = "localhost|127.*|[::1]";

/// The node name that `spec.nodeName` gives.
const NODE: &str = "laptop";

/// Variables of the supervisor's own surroundings that no application may see: a proxy of the
/// user's would bypass the mesh, and a cluster's would make an application believe it is there.
pub fn hidden(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    matches!(
        upper.as_str(),
        "HTTP_PROXY" | "HTTPS_PROXY" | "ALL_PROXY" | "NO_PROXY" | "PORT"
    ) || upper.starts_with("WEFT_")
        || upper.starts_with("KUBERNETES_")
        || upper.starts_with("CARGO")
        || upper == "RUST_LOG"
}

/// The variables that a container declares (`envFrom`, then `env`), in order.
///
/// # Errors
/// With a sentence when a reference does not resolve.
pub fn declared(
    namespace: &str,
    container: &Container,
    metadata: &ObjectMeta,
    references: &dyn References,
) -> Result<Vec<(String, EnvValue)>, String> {
    let mut env = Vec::new();
    for from in container.env_from.iter().flatten() {
        let prefix = from.prefix.clone().unwrap_or_default();
        let (kind, name, optional, entries) = if let Some(map) = &from.config_map_ref {
            let found = references.config_map(namespace, &map.name);
            ("ConfigMap", &map.name, map.optional, found)
        } else if let Some(secret) = &from.secret_ref {
            let found = references.secret(namespace, &secret.name);
            ("Secret", &secret.name, secret.optional, found)
        } else {
            continue;
        };
        match entries {
            Some(entries) => env.extend(
                entries
                    .iter()
                    .map(|(key, value)| (format!("{prefix}{key}"), EnvValue::Text(escape(value)))),
            ),
            None if optional == Some(true) => {}
            None => return Err(format!("envFrom: {kind} {name} is not in the folder")),
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value(namespace, variable, metadata, references)? {
            env.push((variable.name.clone(), value));
        }
    }
    Ok(env)
}

fn value(
    namespace: &str,
    variable: &EnvVar,
    metadata: &ObjectMeta,
    references: &dyn References,
) -> Result<Option<EnvValue>, String> {
    let Some(from) = &variable.value_from else {
        let text = variable.value.clone().unwrap_or_default();
        return Ok(Some(EnvValue::Text(text)));
    };
    let name = &variable.name;
    if let Some(field) = &from.field_ref {
        return field_value(&field.field_path, metadata)
            .map(Some)
            .ok_or_else(|| format!("env {name}: {} is not known on a laptop", field.field_path));
    }
    let (kind, object, key, optional, entries) = if let Some(of) = &from.config_map_key_ref {
        let found = references.config_map(namespace, &of.name);
        ("ConfigMap", &of.name, &of.key, of.optional, found)
    } else if let Some(of) = &from.secret_key_ref {
        let found = references.secret(namespace, &of.name);
        ("Secret", &of.name, &of.key, of.optional, found)
    } else {
        return Err(format!(
            "env {name}: this kind of valueFrom is not known on a laptop"
        ));
    };
    match entries.and_then(|entries| entries.get(key)) {
        Some(text) => Ok(Some(EnvValue::Text(escape(text)))),
        None if optional == Some(true) => Ok(None),
        None => Err(format!(
            "env {name}: key {key} of {kind} {object} is not in the folder"
        )),
    }
}

/// A referenced value is taken as it is: nothing in it is a reference.
fn escape(text: &str) -> String {
    text.replace("$(", "$$(")
}

fn field_value(path: &str, metadata: &ObjectMeta) -> Option<EnvValue> {
    let keyed = |of: &str, map: &Option<BTreeMap<String, String>>| {
        let key = path
            .strip_prefix(of)?
            .strip_prefix("['")?
            .strip_suffix("']")?;
        let text = map.as_ref().and_then(|map| map.get(key));
        Some(EnvValue::Text(escape(text.map_or("", |text| text))))
    };
    let field = match path {
        "metadata.name" => Field::Name,
        "metadata.namespace" => Field::Namespace,
        "spec.serviceAccountName" => Field::ServiceAccount,
        "spec.nodeName" => Field::Node,
        "status.podIP" | "status.podIPs" | "status.hostIP" | "status.hostIPs" => Field::Address,
        _ => {
            return keyed("metadata.labels", &metadata.labels)
                .or_else(|| keyed("metadata.annotations", &metadata.annotations));
        }
    };
    Some(EnvValue::Field(field))
}

/// What one instance's environment depends on.
#[derive(Debug, Clone, Copy)]
pub struct Instance<'a> {
    /// What it is an instance of.
    pub workload: &'a Workload,
    /// Its own name.
    pub name: &'a str,
    /// Its ports.
    pub ports: &'a InstancePorts,
    /// The Services that it may call by variables.
    pub services: &'a [ServiceDecl],
    /// The folder for what it writes.
    pub data_dir: &'a str,
}

/// The environment of an instance's application, without what it inherits.
pub fn application(instance: &Instance<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for service in instance.services {
        service_variables(service, instance.ports, &mut env);
    }
    mesh_variables(instance, &mut env);
    let ports = instance.ports;
    for (name, value) in &instance.workload.env {
        let text = match value {
            EnvValue::Text(text) => expand(text, &env, Bare::Keep),
            EnvValue::Field(field) => match field {
                Field::Name => instance.name.to_owned(),
                Field::Namespace => instance.workload.namespace.clone(),
                Field::ServiceAccount => instance.workload.service_account.clone(),
                Field::Node => NODE.to_owned(),
                Field::Address => "127.0.0.1".to_owned(),
            },
        };
        let allocated = name
            .to_ascii_uppercase()
            .contains("PORT")
            .then(|| text.parse().ok().and_then(|number| ports.app(number)))
            .flatten();
        let text = match (allocated, name.as_str(), env.get(name)) {
            (Some(port), _, _) => port.to_string(),
            (None, "JAVA_TOOL_OPTIONS", Some(ours)) => format!("{text} {ours}"),
            _ => text,
        };
        env.insert(name.clone(), text);
    }
    env
}

/// The proxy, the ports and the folder.
fn mesh_variables(instance: &Instance<'_>, env: &mut BTreeMap<String, String>) {
    let outbound = instance.ports.outbound;
    let proxy = format!("http://{outbound}");
    let java = format!(
        "-Dhttp.proxyHost={} -Dhttp.proxyPort={} -Dhttp.nonProxyHosts={JAVA_NO_PROXY}",
        outbound.ip(),
        outbound.port()
    );
    let mut set = |name: &str, value: String| env.insert(name.to_owned(), value);
    set("http_proxy", proxy.clone());
    set("HTTP_PROXY", proxy);
    set("no_proxy", NO_PROXY.to_owned());
    set("NO_PROXY", NO_PROXY.to_owned());
    set("NODE_USE_ENV_PROXY", "1".to_owned());
    set("JAVA_TOOL_OPTIONS", java);
    set("HOSTNAME", instance.name.to_owned());
    set("DATA_DIR", instance.data_dir.to_owned());
    for port in &instance.workload.ports {
        if let (Some(name), Some(app)) = (&port.name, instance.ports.app(port.number)) {
            set(&format!("PORT_{}", variable(name)), app.to_string());
        }
    }
    let main = instance.workload.main_port();
    if let Some(app) = main.and_then(|port| instance.ports.app(port.number)) {
        set("PORT", app.to_string());
    }
}

/// The variables that Kubernetes sets for a Service, each pointing at the sidecar's listener for it.
fn service_variables(
    service: &ServiceDecl,
    ports: &InstancePorts,
    env: &mut BTreeMap<String, String>,
) {
    let prefix = variable(&service.name);
    for (index, port) in service.ports.iter().enumerate() {
        let Some(listener) = ports.service(&service.host(), port.number) else {
            continue;
        };
        let (host, number) = (listener.ip().to_string(), listener.port().to_string());
        let url = format!("tcp://{listener}");
        let mut set = |name: String, value: &str| env.insert(name, value.to_owned());
        if index == 0 {
            set(format!("{prefix}_SERVICE_HOST"), &host);
            set(format!("{prefix}_SERVICE_PORT"), &number);
            set(format!("{prefix}_PORT"), &url);
        }
        if let Some(name) = &port.name {
            set(format!("{prefix}_SERVICE_PORT_{}", variable(name)), &number);
        }
        // The name has the Service's own port, as in a cluster; the value the listener's.
        let link = format!("{prefix}_PORT_{}_TCP", port.number);
        set(link.clone(), &url);
        set(format!("{link}_PROTO"), "tcp");
        set(format!("{link}_PORT"), &number);
        set(format!("{link}_ADDR"), &host);
    }
}

/// A name as Kubernetes writes it in variables.
fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace(['-', '.'], "_")
}

/// What to do with `$PORT` without parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// Leave it: the rule of Kubernetes.
    Keep,
    /// Replace it, for manifests written for the laptop.
    Ports,
}

/// The command of an instance: `$(NAME)` as in Kubernetes, and `$PORT`, `${PORT}`, `$PORT_<NAME>`.
pub fn command(workload: &Workload, env: &BTreeMap<String, String>) -> Vec<String> {
    workload
        .command
        .iter()
        .map(|word| expand(word, env, Bare::Ports))
        .collect()
}

/// `$(NAME)` becomes the value of a variable that is set, `$$` a dollar; else nothing changes.
fn expand(text: &str, env: &BTreeMap<String, String>, bare: Bare) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let (taken, put) = reference(from, env, bare);
        out.push_str(put);
        rest = from.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// What stands for the reference at the start of `text`, and how many bytes it takes.
fn reference<'a>(text: &'a str, env: &'a BTreeMap<String, String>, bare: Bare) -> (usize, &'a str) {
    let after = text.get(1..).unwrap_or_default();
    if after.starts_with('$') {
        return (2, "$");
    }
    let enclosed = |open: char, close: char| {
        let inner = after.strip_prefix(open)?;
        let name = inner.get(..inner.find(close)?)?;
        Some((name.len() + 3, name))
    };
    let found = enclosed('(', ')').or_else(|| {
        if bare == Bare::Keep {
            return None;
        }
        let (taken, name) = enclosed('{', '}').unwrap_or_else(|| {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            (end + 1, after.get(..end).unwrap_or_default())
        });
        (name == "PORT" || name.starts_with("PORT_")).then_some((taken, name))
    });
    match found.and_then(|(taken, name)| Some((taken, env.get(name)?))) {
        Some((taken, value)) => (taken, value),
        None => (1, "$"),
    }
}

#[cfg(test)]
mod tests;
