//! What a port speaks, as far as its declaration says.
//!
//! Source: Kubernetes `appProtocol` first, then Istio's port naming (`<protocol>[-suffix]`), else detection.

use serde::Serialize;

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Nothing declared: read the first bytes.
    #[default]
    Detect,
    /// Bytes that nobody looks at; server-first protocols work.
    Opaque,
    /// HTTP/1.x.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// HTTP/2 whose messages are gRPC.
    Grpc,
    /// The application's own TLS: forwarded as it is.
    Tls,
}

impl Protocol {
    /// The protocol that a port declares. `app_protocol` wins over the name's first word.
    #[must_use]
    pub fn declared(port_name: &str, app_protocol: Option<&str>) -> Self {
        if let Some(app) = app_protocol.filter(|p| !p.is_empty()) {
            return Self::from_word(app);
        }
        let word = port_name.split('-').next().unwrap_or_default();
        Self::from_word(word)
    }

    fn from_word(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "http" | "http1" | "kubernetes.io/ws" | "ws" => Self::Http1,
            "http2" | "h2c" | "kubernetes.io/h2c" => Self::Http2,
            "grpc" => Self::Grpc,
            "https" | "tls" | "kubernetes.io/wss" | "wss" => Self::Tls,
            "tcp" | "opaque" | "linkerd.io/opaque" | "linkerd.io/tcp" | "mongo" | "mysql"
            | "redis" | "postgres" | "postgresql" | "mqtt" | "amqp" | "kafka" | "smtp" => {
                Self::Opaque
            }
            _ => Self::Detect,
        }
    }

    /// Whether requests can be told apart on it.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http1 | Self::Http2 | Self::Grpc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declaration_decides() {
        let cases = [
            ("http", None, Protocol::Http1),
            ("http-web", None, Protocol::Http1),
            ("grpc-users", None, Protocol::Grpc),
            ("http2", None, Protocol::Http2),
            ("web", None, Protocol::Detect),
            ("", None, Protocol::Detect),
            ("http", Some("grpc"), Protocol::Grpc),
            ("web", Some("kubernetes.io/h2c"), Protocol::Http2),
            ("redis", None, Protocol::Opaque),
            ("https", None, Protocol::Tls),
        ];
        for (name, app, expected) in cases {
            assert_eq!(Protocol::declared(name, app), expected, "{name} {app:?}");
        }
    }
}
