//! The one list of fields that are valid and not enforced yet, with what their use does meanwhile.
//!
//! Its use is a problem on the object, never silence, and access is never widened. Every field of
//! every kind is either here or in [`crate::enforced`]; a test walks the schemas. An entry covers
//! everything below its path.
//!
//! Long because: it is one table, a line a field.

use serde_json::{Value, json};
use weft_crds::kind::Kind;

/// What the use of a field does while it is not enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The field has no effect, the rest of the object applies.
    Ignored,
    /// The match block that has it never matches.
    NeverMatches,
    /// The object is held: what was in force before stays.
    HoldsObject,
    /// The workload takes the strictest mode that the object names.
    StrictestMode,
    /// Every request to what the object selects is refused.
    RefusesAll,
}

/// A field, or one value of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// Of which kind.
    pub kind: Kind,
    /// Its path: `[]` is any item, `{}` any key, and `=VALUE` at the end means that value alone.
    pub field: &'static str,
    /// What its use does.
    pub effect: Effect,
    /// What the author can do, one sentence without a full stop.
    pub remedy: &'static str,
}

impl Entry {
    /// The path without a value.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.field
            .split_once('=')
            .map_or(self.field, |(path, _)| path)
    }

    /// The value that it is about; none: any.
    #[must_use]
    pub fn value(&self) -> Option<&'static str> {
        self.field.split_once('=').map(|(_, value)| value)
    }

    /// Whether `pattern` is its path or below it.
    #[must_use]
    pub fn covers(&self, kind: Kind, pattern: &str) -> bool {
        self.kind == kind
            && self.value().is_none()
            && pattern
                .strip_prefix(self.path())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '{']))
    }

    /// Whether a value asks for nothing but the default.
    pub(crate) fn is_neutral(&self, value: &Value) -> bool {
        self.path() == "spec.exportTo" && *value == json!(["*"])
    }

    /// Its name in a sentence.
    pub(crate) fn subject(&self) -> String {
        match (self.path(), self.value()) {
            ("spec", _) => self.kind.to_string(),
            (path, value) => {
                let name = path.rsplit('.').next().unwrap_or(path);
                let name = name.trim_end_matches("[]").trim_end_matches("{}");
                match value {
                    Some(value) => format!("`{name}: {value}`"),
                    None => format!("`{name}`"),
                }
            }
        }
    }
}

const fn entry(kind: Kind, field: &'static str, effect: Effect, remedy: &'static str) -> Entry {
    Entry {
        kind,
        field,
        effect,
        remedy,
    }
}

const NAME_HOSTS: &str = "remove it; the object then applies to the clients of every namespace";
const NO_MATCH: &str = "match on uri, method, headers, authority or port instead";
const OWN_OBJECT: &str =
    "remove it, or move the rule into a VirtualService of its own until it is enforced";
const APPLICATION: &str = "let the application do it until it is enforced, or remove it";
const ONE_POLICY: &str = "say it in trafficPolicy for all ports, or remove it";
const MESH_TLS: &str =
    "use ISTIO_MUTUAL or DISABLE, and let the application speak TLS to servers outside the mesh";
const DEFAULT_BALANCE: &str = "use LEAST_REQUEST, ROUND_ROBIN or RANDOM, or remove it";
const REMOVE: &str = "remove it, or wait until it is enforced";

/// The list, by kind in the order of its fields.
pub const NOT_YET_ENFORCED: &[Entry] = {
    use Effect::{HoldsObject, Ignored, NeverMatches, RefusesAll, StrictestMode};
    use Kind::{
        AuthorizationPolicy as Authz, DestinationRule as Dr, MeshConfig as Mesh,
        PeerAuthentication as Peer, RequestAuthentication as Jwt, ServiceEntry,
        VirtualService as Vs, WorkloadEntry,
    };
    &[
        entry(Vs, "spec.exportTo", HoldsObject, NAME_HOSTS),
        entry(
            Vs,
            "spec.tls",
            HoldsObject,
            "remove it: the application's own TLS goes to the Service that was addressed",
        ),
        entry(
            Vs,
            "spec.tcp",
            HoldsObject,
            "remove it: TCP goes to the Service that was addressed",
        ),
        entry(Vs, "spec.http[].match[].scheme", NeverMatches, NO_MATCH),
        entry(
            Vs,
            "spec.http[].match[].queryParams",
            NeverMatches,
            NO_MATCH,
        ),
        entry(
            Vs,
            "spec.http[].match[].withoutHeaders",
            NeverMatches,
            "put a rule before this one that matches the headers and does what should happen then",
        ),
        entry(
            Vs,
            "spec.http[].match[].sourceLabels",
            NeverMatches,
            NO_MATCH,
        ),
        entry(
            Vs,
            "spec.http[].match[].sourceNamespace",
            NeverMatches,
            NO_MATCH,
        ),
        entry(
            Vs,
            "spec.http[].match[].statPrefix",
            Ignored,
            "remove it: metrics have the standard labels",
        ),
        entry(Vs, "spec.http[].redirect", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].directResponse", HoldsObject, OWN_OBJECT),
        entry(
            Vs,
            "spec.http[].delegate",
            HoldsObject,
            "write the delegate's rules here",
        ),
        entry(Vs, "spec.http[].rewrite", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].mirror", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].mirrorPercent", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].mirror_percent", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].mirrorPercentage", HoldsObject, OWN_OBJECT),
        entry(Vs, "spec.http[].mirrors", HoldsObject, OWN_OBJECT),
        entry(
            Vs,
            "spec.http[].retries",
            Ignored,
            "nothing to do: a failed request is not tried again until retries are enforced",
        ),
        entry(
            Vs,
            "spec.http[].fault",
            Ignored,
            "inject faults in the application until it is enforced",
        ),
        entry(Vs, "spec.http[].corsPolicy", Ignored, APPLICATION),
        entry(Vs, "spec.http[].headers", Ignored, APPLICATION),
        entry(Vs, "spec.http[].route[].headers", Ignored, APPLICATION),
        entry(Dr, "spec.exportTo", HoldsObject, NAME_HOSTS),
        entry(
            Dr,
            "spec.workloadSelector",
            HoldsObject,
            "remove it; the rule then applies to every client",
        ),
        entry(Dr, "spec.trafficPolicy.connectionPool", Ignored, REMOVE),
        entry(Dr, "spec.trafficPolicy.outlierDetection", Ignored, REMOVE),
        entry(
            Dr,
            "spec.trafficPolicy.portLevelSettings",
            Ignored,
            ONE_POLICY,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.portLevelSettings[].tls",
            HoldsObject,
            ONE_POLICY,
        ),
        entry(Dr, "spec.trafficPolicy.tunnel", Ignored, REMOVE),
        entry(Dr, "spec.trafficPolicy.proxyProtocol", Ignored, REMOVE),
        entry(Dr, "spec.trafficPolicy.retryBudget", Ignored, REMOVE),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.simple=PASSTHROUGH",
            Ignored,
            DEFAULT_BALANCE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.consistentHash",
            Ignored,
            DEFAULT_BALANCE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.localityLbSetting",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.zoneAwareLbSetting",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.warmup",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.loadBalancer.warmupDurationSecs",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.mode=SIMPLE",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.mode=MUTUAL",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.clientCertificate",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.privateKey",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.caCertificates",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.credentialName",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.trafficPolicy.tls.subjectAltNames",
            HoldsObject,
            MESH_TLS,
        ),
        entry(Dr, "spec.trafficPolicy.tls.sni", HoldsObject, MESH_TLS),
        entry(
            Dr,
            "spec.trafficPolicy.tls.insecureSkipVerify",
            HoldsObject,
            MESH_TLS,
        ),
        entry(Dr, "spec.trafficPolicy.tls.caCrl", HoldsObject, MESH_TLS),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.connectionPool",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.outlierDetection",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.portLevelSettings",
            Ignored,
            ONE_POLICY,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.portLevelSettings[].tls",
            HoldsObject,
            ONE_POLICY,
        ),
        entry(Dr, "spec.subsets[].trafficPolicy.tunnel", Ignored, REMOVE),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.proxyProtocol",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.retryBudget",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.simple=PASSTHROUGH",
            Ignored,
            DEFAULT_BALANCE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.consistentHash",
            Ignored,
            DEFAULT_BALANCE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.localityLbSetting",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.zoneAwareLbSetting",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.warmup",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.loadBalancer.warmupDurationSecs",
            Ignored,
            REMOVE,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.mode=SIMPLE",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.mode=MUTUAL",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.clientCertificate",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.privateKey",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.caCertificates",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.credentialName",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.subjectAltNames",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.sni",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.insecureSkipVerify",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            Dr,
            "spec.subsets[].trafficPolicy.tls.caCrl",
            HoldsObject,
            MESH_TLS,
        ),
        entry(
            ServiceEntry,
            "spec",
            Ignored,
            "use a Kubernetes Service until it is enforced",
        ),
        entry(
            WorkloadEntry,
            "spec",
            Ignored,
            "run the workload with a sidecar of its own until it is enforced",
        ),
        entry(
            Peer,
            "spec.portLevelMtls",
            StrictestMode,
            "let every port of the workload have one mode: mtls.mode",
        ),
        entry(
            Authz,
            "spec.targetRef",
            RefusesAll,
            "use a selector: without one the whole namespace is refused",
        ),
        entry(
            Authz,
            "spec.targetRefs",
            RefusesAll,
            "use a selector: without one the whole namespace is refused",
        ),
        entry(
            Authz,
            "spec.rules",
            RefusesAll,
            "remove the object to open the workloads to everyone, or wait until it is enforced",
        ),
        entry(
            Authz,
            "spec.action",
            RefusesAll,
            "remove the object to open the workloads to everyone, or wait until it is enforced",
        ),
        entry(
            Authz,
            "spec.action=AUDIT",
            Ignored,
            "nothing to do: it would only mark requests, and none is refused for it",
        ),
        entry(
            Authz,
            "spec.provider",
            RefusesAll,
            "remove the object to open the workloads to everyone, or wait until it is enforced",
        ),
        entry(
            Jwt,
            "spec.targetRef",
            RefusesAll,
            "use a selector: without one the whole namespace is refused",
        ),
        entry(
            Jwt,
            "spec.targetRefs",
            RefusesAll,
            "use a selector: without one the whole namespace is refused",
        ),
        entry(
            Jwt,
            "spec.jwtRules",
            RefusesAll,
            "remove the object to admit requests whatever their token, or wait until it is enforced",
        ),
        entry(
            Mesh,
            "spec.rootNamespace",
            Ignored,
            "put mesh-wide policy into the namespace istio-system",
        ),
        entry(Mesh, "spec.outboundTrafficPolicy", Ignored, REMOVE),
        entry(Mesh, "spec.defaultRetries", Ignored, REMOVE),
        entry(
            Mesh,
            "spec.shards",
            Ignored,
            "remove it: a proxy takes as many as it has CPUs",
        ),
        entry(Mesh, "spec.telemetry", Ignored, REMOVE),
    ]
};
