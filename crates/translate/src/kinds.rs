//! Which documents are policies, which are nobody's business here, and which Weft does not know.

use crate::report::Fault;
use serde_json::Value;
use weft_crds::kind::Kind;

/// What a document is.
#[derive(Debug)]
pub(crate) enum Recognized {
    /// A policy of a kind that exists here.
    Policy(Kind),
    /// A plain Kubernetes object, or another product's.
    NotPolicy,
    /// Looks like a policy, and has no effect.
    Unsupported {
        /// The field that says so.
        field: &'static str,
        /// Why, and what to do.
        fault: Fault,
    },
}

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Kinds of the mesh's groups that Weft does not know, with what to do instead.
const ADVICE: &[(&str, &str, &str)] = &[
    (
        GATEWAY_API,
        "HTTPRoute",
        "write its rules as a VirtualService: matches, weights and timeouts have the same meaning there",
    ),
    (
        GATEWAY_API,
        "GRPCRoute",
        "write its rules as a VirtualService: a gRPC method is the uri /package.Service/Method",
    ),
    (
        GATEWAY_API,
        "TLSRoute",
        "remove it: the application's own TLS is forwarded to the Service that was addressed",
    ),
    (
        GATEWAY_API,
        "TCPRoute",
        "remove it: TCP is forwarded to the Service that was addressed",
    ),
    (
        GATEWAY_API,
        "UDPRoute",
        "remove it: UDP does not pass through the mesh",
    ),
    (
        GATEWAY_API,
        "Gateway",
        "keep your ingress gateway beside Weft; it routes between workloads, not from outside",
    ),
    (
        GATEWAY_API,
        "GatewayClass",
        "keep your ingress gateway beside Weft; it routes between workloads, not from outside",
    ),
    (
        GATEWAY_API,
        "ReferenceGrant",
        "remove it: a VirtualService may name a destination in any namespace",
    ),
    (
        GATEWAY_API,
        "BackendTLSPolicy",
        "use a DestinationRule's trafficPolicy.tls",
    ),
    (
        "networking.istio.io",
        "Gateway",
        "keep your ingress gateway beside Weft, and list `mesh` in the gateways of a VirtualService that sidecars should apply",
    ),
    (
        "networking.istio.io",
        "Sidecar",
        "remove it: a proxy learns of a host only when its application calls it, so there is nothing to restrict",
    ),
    (
        "networking.istio.io",
        "EnvoyFilter",
        "say the same with VirtualService or DestinationRule: there is no Envoy to patch",
    ),
    (
        "networking.istio.io",
        "WorkloadGroup",
        "write a WorkloadEntry for each workload",
    ),
    (
        "networking.istio.io",
        "ProxyConfig",
        "use MeshConfig of weft.dev/v1, or an annotation on the workload",
    ),
    (
        "telemetry.istio.io",
        "Telemetry",
        "use MeshConfig of weft.dev/v1: spec.accessLog",
    ),
    (
        "extensions.istio.io",
        "WasmPlugin",
        "remove it: the proxy loads no plugins",
    ),
    (
        "extensions.istio.io",
        "TrafficExtension",
        "remove it: the proxy loads no plugins",
    ),
    (
        "install.istio.io",
        "IstioOperator",
        "use MeshConfig of weft.dev/v1 for mesh-wide settings",
    ),
    (
        "policy.linkerd.io",
        "Server",
        "use PeerAuthentication and AuthorizationPolicy",
    ),
    (
        "policy.linkerd.io",
        "ServerAuthorization",
        "use AuthorizationPolicy of security.istio.io/v1",
    ),
    (
        "policy.linkerd.io",
        "AuthorizationPolicy",
        "use AuthorizationPolicy of security.istio.io/v1",
    ),
    (
        "policy.linkerd.io",
        "MeshTLSAuthentication",
        "use the principals of an AuthorizationPolicy of security.istio.io/v1",
    ),
    (
        "policy.linkerd.io",
        "NetworkAuthentication",
        "use the ipBlocks of an AuthorizationPolicy of security.istio.io/v1",
    ),
    (
        "policy.linkerd.io",
        "HTTPRoute",
        "write its rules as a VirtualService",
    ),
    (
        "linkerd.io",
        "ServiceProfile",
        "use the timeout of a VirtualService's rule",
    ),
    (
        "split.smi-spec.io",
        "TrafficSplit",
        "use the weights of a VirtualService's route",
    ),
];

/// Groups whose kinds always mean the mesh.
fn is_mesh_group(group: &str) -> bool {
    group == GATEWAY_API
        || group == "linkerd.io"
        || [".istio.io", ".linkerd.io", ".smi-spec.io", "weft.dev"]
            .iter()
            .any(|suffix| group.ends_with(suffix))
}

/// Says what a document is.
pub(crate) fn recognize(document: &Value) -> Recognized {
    let text = |key| {
        document
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let unsupported = |field, fault| Recognized::Unsupported { field, fault };
    if let Some(kind) = Kind::of(api_version, kind) {
        return Recognized::Policy(kind);
    }
    if !document.is_object() || kind.is_empty() {
        return unsupported(
            "kind",
            Fault::new(
                "NoKind",
                "the document says no kind",
                "begin it with apiVersion and kind, for example networking.istio.io/v1 and VirtualService",
            ),
        );
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if api_version.is_empty() || (is_mesh_group(group) && !has_advice(group, kind)) {
        let known = Kind::ALL.into_iter().find(|it| it.name() == kind);
        return match known {
            Some(known) => unsupported(
                "apiVersion",
                Fault::new(
                    "UnknownVersion",
                    format!("`{api_version}` has no {kind} that Weft knows"),
                    format!("use {}/{}", known.group(), known.versions().join(" or ")),
                ),
            ),
            None if api_version.is_empty() => unsupported(
                "apiVersion",
                Fault::new(
                    "NoKind",
                    "the document says no apiVersion",
                    "begin it with apiVersion and kind, for example networking.istio.io/v1 and VirtualService",
                ),
            ),
            None => unsupported(
                "kind",
                Fault::new(
                    "UnknownKind",
                    format!("Weft does not know {kind} of {group}, so it has no effect"),
                    format!("remove it, or use one of {}", names()),
                ),
            ),
        };
    }
    if let Some((.., advice)) = advice(group, kind) {
        return unsupported(
            "kind",
            Fault::new(
                "UnsupportedKind",
                format!("{kind} of {group} is not supported, so it has no effect"),
                *advice,
            ),
        );
    }
    Recognized::NotPolicy
}

fn advice(group: &str, kind: &str) -> Option<&'static (&'static str, &'static str, &'static str)> {
    ADVICE
        .iter()
        .find(|(other, name, _)| *other == group && *name == kind)
}

fn has_advice(group: &str, kind: &str) -> bool {
    advice(group, kind).is_some()
}

fn names() -> String {
    Kind::ALL.map(Kind::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(api_version: &str, kind: &str) -> &'static str {
        match recognize(&json!({"apiVersion": api_version, "kind": kind})) {
            Recognized::Policy(kind) => kind.name(),
            Recognized::NotPolicy => "not a policy",
            Recognized::Unsupported { fault, .. } => fault.code,
        }
    }

    #[test]
    fn documents_are_recognized() {
        let cases = [
            ("networking.istio.io/v1", "VirtualService", "VirtualService"),
            (
                "networking.istio.io/v1beta1",
                "VirtualService",
                "VirtualService",
            ),
            (
                "networking.istio.io/v1alpha3",
                "DestinationRule",
                "DestinationRule",
            ),
            (
                "networking.istio.io/v1alpha3",
                "ServiceEntry",
                "ServiceEntry",
            ),
            ("networking.istio.io/v1", "WorkloadEntry", "WorkloadEntry"),
            (
                "security.istio.io/v1beta1",
                "PeerAuthentication",
                "PeerAuthentication",
            ),
            (
                "security.istio.io/v1",
                "AuthorizationPolicy",
                "AuthorizationPolicy",
            ),
            (
                "security.istio.io/v1",
                "RequestAuthentication",
                "RequestAuthentication",
            ),
            ("weft.dev/v1", "MeshConfig", "MeshConfig"),
            (
                "security.istio.io/v1alpha3",
                "PeerAuthentication",
                "UnknownVersion",
            ),
            ("networking.istio.io/v2", "VirtualService", "UnknownVersion"),
            ("security.istio.io/v1", "VirtualService", "UnknownVersion"),
            ("weft.dev/v1alpha1", "MeshConfig", "UnknownVersion"),
            ("networking.istio.io/v1", "VirtualServce", "UnknownKind"),
            ("weft.dev/v1", "Mesh", "UnknownKind"),
            (
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                "UnsupportedKind",
            ),
            ("gateway.networking.k8s.io/v1", "NoRoute", "UnknownKind"),
            ("networking.istio.io/v1", "Gateway", "UnsupportedKind"),
            ("networking.istio.io/v1", "Sidecar", "UnsupportedKind"),
            (
                "networking.istio.io/v1alpha3",
                "EnvoyFilter",
                "UnsupportedKind",
            ),
            ("telemetry.istio.io/v1", "Telemetry", "UnsupportedKind"),
            (
                "extensions.istio.io/v1alpha1",
                "WasmPlugin",
                "UnsupportedKind",
            ),
            (
                "split.smi-spec.io/v1alpha2",
                "TrafficSplit",
                "UnsupportedKind",
            ),
            ("", "VirtualService", "UnknownVersion"),
            ("", "Other", "NoKind"),
            ("v1", "", "NoKind"),
            ("v1", "Service", "not a policy"),
            ("apps/v1", "Deployment", "not a policy"),
            ("networking.k8s.io/v1", "Ingress", "not a policy"),
            ("cert-manager.io/v1", "Certificate", "not a policy"),
        ];
        for (api_version, kind, expected) in cases {
            assert_eq!(check(api_version, kind), expected, "{api_version} {kind}");
        }
    }
}
