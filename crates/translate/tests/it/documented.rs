//! Policies as Istio's users write them, verbatim, with what they mean here.

use crate::{short, translate};
use serde_json::Value;
use std::time::Duration;
use weft_model::{
    inbound::{MtlsMode, RefusalReason},
    matching::{HeaderValueMatch, Matches, StringMatch},
    policy::{Policy, Translated},
};

fn yaml(text: &str) -> Translated<Policy> {
    translate(&serde_saphyr::from_str::<Value>(text).unwrap())
}

#[test]
fn a_retry_policy() {
    let it = yaml(
        "
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: order-service
spec:
  hosts:
  - order-service
  http:
  - retries:
      attempts: 3
      perTryTimeout: 2s
      retryOn: 5xx,reset,connect-failure,refused-stream
    timeout: 10s
    route:
    - destination:
        host: order-service
",
    );
    assert_eq!(
        short(&it),
        ["NotEnforced NotYetEnforced spec.http[0].retries"]
    );
    let Some(Policy::VirtualService(it)) = it.value else {
        panic!("{it:?}");
    };
    assert_eq!(
        it.hosts[0].to_string(),
        "order-service.shop.svc.cluster.local"
    );
    assert_eq!(it.http[0].timeout, Some(Duration::from_secs(10)));
    assert_eq!(it.http[0].matches, Matches::Any);
}

#[test]
fn a_canary() {
    let it = yaml(
        "
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata:
  name: payment-service
spec:
  hosts:
  - payment-service
  http:
  - match:
    - headers:
        user-type:
          exact: beta
    route:
    - destination:
        host: payment-service
        subset: v2
      weight: 100
  - route:
    - destination:
        host: payment-service
        subset: v1
      weight: 90
    - destination:
        host: payment-service
        subset: v2
      weight: 10
",
    );
    assert_eq!(short(&it), [""; 0]);
    let Some(Policy::VirtualService(it)) = it.value else {
        panic!("{it:?}");
    };
    let Matches::OneOf(blocks) = &it.http[0].matches else {
        panic!("{it:?}");
    };
    let header = &blocks[0].request.headers[0];
    assert_eq!(header.name, "user-type");
    assert_eq!(
        header.value,
        HeaderValueMatch::Value(StringMatch::Exact("beta".to_owned()))
    );
    let shares: Vec<_> = it.http[1]
        .destinations
        .iter()
        .map(|it| (it.subset.as_deref(), it.weight))
        .collect();
    assert_eq!(shares, [(Some("v1"), 90), (Some("v2"), 10)]);
}

#[test]
fn a_circuit_breaker() {
    let it = yaml(
        "
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata:
  name: inventory-service
spec:
  host: inventory-service
  trafficPolicy:
    connectionPool:
      tcp:
        maxConnections: 100
      http:
        http1MaxPendingRequests: 50
        http2MaxRequests: 100
        maxRequestsPerConnection: 2
    outlierDetection:
      consecutiveErrors: 5
      interval: 30s
      baseEjectionTime: 30s
      maxEjectionPercent: 50
      minHealthPercent: 40
",
    );
    assert_eq!(
        short(&it),
        [
            "NotEnforced NotYetEnforced spec.trafficPolicy.connectionPool",
            "NotEnforced NotYetEnforced spec.trafficPolicy.outlierDetection",
            "Warning DeprecatedField spec.trafficPolicy.outlierDetection.consecutiveErrors",
        ]
    );
    assert!(
        matches!(it.value, Some(Policy::DestinationRule(_))),
        "the rest applies"
    );
}

#[test]
fn mutual_tls_for_a_namespace() {
    let it = yaml(
        "
apiVersion: security.istio.io/v1beta1
kind: PeerAuthentication
metadata:
  name: default
  namespace: production
spec:
  mtls:
    mode: STRICT
",
    );
    assert_eq!(short(&it), [""; 0]);
    let Some(Policy::PeerAuthentication(it)) = it.value else {
        panic!("{it:?}");
    };
    assert_eq!(it.meta.object.namespace, "production");
    assert_eq!((it.selector, it.mode), (None, Some(MtlsMode::Strict)));
}

#[test]
fn an_authorization() {
    let it = yaml(
        r#"
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata:
  name: payment-service-authz
  namespace: production
spec:
  selector:
    matchLabels:
      app: payment-service
  action: ALLOW
  rules:
  - from:
    - source:
        principals: ["cluster.local/ns/production/sa/order-service"]
    to:
    - operation:
        methods: ["POST"]
        paths: ["/api/payments/*"]
"#,
    );
    assert_eq!(short(&it), ["NotEnforced NotYetEnforced spec.rules"]);
    let Some(Policy::RefuseAll(it)) = it.value else {
        panic!("{it:?}");
    };
    assert_eq!(it.selector.unwrap()["app"], "payment-service");
    assert_eq!(it.reason, RefusalReason::AuthorizationNotEnforced);
}
