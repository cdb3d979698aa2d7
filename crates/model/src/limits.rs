//! Limits and defaults, each written once, with its unit and reason.

use std::time::Duration;

/// Trust domain where none is configured. Istio's and Kubernetes' usual value.
pub const DEFAULT_TRUST_DOMAIN: &str = "cluster.local";
/// DNS domain of the cluster.
pub const DEFAULT_CLUSTER_DOMAIN: &str = "cluster.local";
/// Namespace whose policy holds for the whole mesh; Istio's default, so that existing YAML applies unchanged.
pub const DEFAULT_ROOT_NAMESPACE: &str = "istio-system";
/// Namespace and ServiceAccount of the control plane: its SPIFFE id is made of them.
pub const CONTROL_PLANE_NAMESPACE: &str = "weft-system";
/// See [`CONTROL_PLANE_NAMESPACE`].
pub const CONTROL_PLANE_SERVICE_ACCOUNT: &str = "weft-controller";

/// Life of a workload certificate where MeshConfig says nothing.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Shortest life that may be asked for.
pub const CERTIFICATE_LIFETIME_MIN: Duration = Duration::from_secs(60);
/// Longest life that may be asked for.
pub const CERTIFICATE_LIFETIME_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How far a certificate's start lies before its issue, against clock skew.
pub const CERTIFICATE_BACKDATE: Duration = Duration::from_secs(60);

/// A regular expression's length, in characters (Istio's bound).
pub const REGEX_MAX_CHARS: usize = 1024;
/// Compiled size of one regular expression, in bytes.
pub const REGEX_MAX_COMPILED_BYTES: usize = 1 << 20;

/// Time to wait for the control plane's first answer about a destination before a request is refused.
pub const DISCOVERY_WAIT: Duration = Duration::from_secs(3);
/// A name nobody used for so long is unsubscribed.
pub const DISCOVERY_IDLE: Duration = Duration::from_secs(60);
/// TCP connect to an endpoint (Istio's default).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// First bytes read to find out what a connection speaks.
pub const DETECT_MAX_BYTES: usize = 16 * 1024;
/// Silence after which a connection of undeclared protocol is dialled on speculatively.
pub const DETECT_SILENCE: Duration = Duration::from_millis(50);
/// Streams that our inbound admits on one HTTP/2 connection between sidecars.
pub const MESH_H2_STREAMS: u32 = 256;
/// Window of one such stream, in bytes.
pub const MESH_H2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Window of such a connection: all streams unread must not stop the connection.
pub const MESH_H2_CONNECTION_WINDOW_BYTES: u32 = MESH_H2_STREAMS * MESH_H2_STREAM_WINDOW_BYTES;
/// Streams admitted on one HTTP/2 connection of an application.
pub const APP_H2_STREAMS: u32 = 100;
/// Window of one such stream, in bytes.
pub const APP_H2_STREAM_WINDOW_BYTES: u32 = 64 * 1024;
/// Window of such a connection.
pub const APP_H2_CONNECTION_WINDOW_BYTES: u32 = APP_H2_STREAMS * APP_H2_STREAM_WINDOW_BYTES;
/// Buffer of one HTTP/1 connection, in bytes: the largest head that passes.
pub const HTTP1_MAX_BUFFER_BYTES: usize = 64 * 1024;
/// An idle HTTP/1 connection is dropped after this long; below the 5 s at which Node closes its side.
pub const HTTP1_IDLE: Duration = Duration::from_secs(3);

/// Peak-EWMA decay, as in Linkerd.
pub const EWMA_DECAY: Duration = Duration::from_secs(10);
/// Latency assumed of an endpoint that has answered nothing yet, as in Linkerd.
pub const EWMA_DEFAULT_RTT: Duration = Duration::from_millis(30);

/// Time in-flight work has to finish after SIGTERM.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause before a change is pushed, so that a burst of edits becomes one batch.
pub const PUSH_DEBOUNCE: Duration = Duration::from_millis(20);
