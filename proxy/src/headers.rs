//! Header names of the mesh, and what HTTP says about headers that belong to one connection only.
//!
//! Invariants: a private header (`weft-orig-proto`, `weft-peer`) is believed only when it arrives over mutual TLS, and is
//! removed from everything that comes from or goes to an application.

use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE},
};
use smallvec::SmallVec;

/// What HTTP version the client spoke: between sidecars everything rides HTTP/2.
pub const ORIG_PROTO: HeaderName = HeaderName::from_static("weft-orig-proto");
/// Who the client is, for the server's metrics: see [`crate::observe::peer`].
pub const PEER: HeaderName = HeaderName::from_static("weft-peer");
/// The stable code of a reply that a proxy made itself.
pub const ERROR: HeaderName = HeaderName::from_static("weft-error");
/// Value of [`ORIG_PROTO`] for HTTP/1.
pub const ORIG_HTTP1: HeaderValue = HeaderValue::from_static("1");
/// Who calls, as the application reads it: Envoy's name and form (`URI=<SPIFFE id>`), as Istio's sidecars set it.
pub const FORWARDED_CLIENT_CERT: HeaderName = HeaderName::from_static("x-forwarded-client-cert");
/// gRPC's status.
pub const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// gRPC's message.
pub const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");

/// Removes what only the mesh may say.
pub fn strip_private(headers: &mut HeaderMap) {
    headers.remove(ORIG_PROTO);
    headers.remove(PEER);
}

/// Tells the application who calls. What a client says of itself is replaced: only a certificate is believed.
pub fn set_forwarded_client_cert(headers: &mut HeaderMap, verified: Option<&HeaderValue>) {
    match verified {
        Some(value) => {
            headers.insert(FORWARDED_CLIENT_CERT, value.clone());
        }
        None => {
            headers.remove(FORWARDED_CLIENT_CERT);
        }
    }
}

/// Removes what was meant for the explicit proxy.
pub fn strip_proxy(headers: &mut HeaderMap) {
    headers.remove(PROXY_AUTHORIZATION);
}

/// Removes what belongs to the connection a message came on: the fixed names and those that `Connection` lists
/// (RFC 9110, 7.6.1). `te: trailers` stays, since trailers pass. An upgrade keeps `connection` and `upgrade`.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, upgrade: Upgrade) {
    if headers.contains_key(CONNECTION) {
        let listed: SmallVec<[HeaderName; 2]> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
            // Not everything may be dropped because a client lists it: a Host or a private header must not vanish here.
            .filter(|name| ![TE, UPGRADE, CONNECTION, HOST, TRANSFER_ENCODING].contains(name))
            .collect();
        for name in listed {
            headers.remove(name);
        }
    }
    if headers.contains_key(TE) {
        let trailers = headers.get_all(TE).iter().any(|value| {
            value.to_str().is_ok_and(|text| {
                text.split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("trailers"))
            })
        });
        headers.remove(TE);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
    headers.remove(KEEP_ALIVE);
    headers.remove(PROXY_CONNECTION);
    headers.remove(TRANSFER_ENCODING);
    match upgrade {
        Upgrade::None => {
            headers.remove(CONNECTION);
            headers.remove(UPGRADE);
        }
        Upgrade::Asked => {
            headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        }
    }
}

/// Whether a message asks for another protocol on its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// No.
    None,
    /// HTTP/1.1 `Connection: upgrade` with an `Upgrade` header (WebSocket).
    Asked,
}

impl Upgrade {
    /// What a message asks. An upgrade to `h2c` is not one: it is optional by nature and does not pass a proxy.
    #[must_use]
    pub fn of(version: Version, headers: &HeaderMap) -> Self {
        if version != Version::HTTP_11 {
            return Self::None;
        }
        let Some(protocol) = headers.get(UPGRADE) else {
            return Self::None;
        };
        let asked = headers.get_all(CONNECTION).iter().any(|value| {
            value.to_str().is_ok_and(|text| {
                text.split(',')
                    .any(|word| word.trim().eq_ignore_ascii_case("upgrade"))
            })
        });
        if asked && !protocol.as_bytes().eq_ignore_ascii_case(b"h2c") {
            Self::Asked
        } else {
            Self::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_calls_is_what_the_certificate_says_and_nothing_else() {
        let verified = HeaderValue::from_static("URI=spiffe://cluster.local/ns/shop/sa/web");
        let forged = [(
            "x-forwarded-client-cert",
            "URI=spiffe://cluster.local/ns/shop/sa/admin",
        )];
        let mut headers = map(&forged);
        set_forwarded_client_cert(&mut headers, Some(&verified));
        assert_eq!(
            headers
                .get_all(FORWARDED_CLIENT_CERT)
                .iter()
                .collect::<Vec<_>>(),
            [&verified]
        );
        set_forwarded_client_cert(&mut headers, None);
        assert!(headers.is_empty());
    }

    type Pairs = [(&'static str, &'static str)];

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    value.parse::<HeaderValue>().unwrap(),
                )
            })
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn what_belongs_to_one_connection_does_not_pass() {
        let cases: [(&Pairs, Upgrade, &[&str]); 6] = [
            (
                &[("connection", "close"), ("x", "1")],
                Upgrade::None,
                &["x"],
            ),
            (
                &[
                    ("connection", "keep-alive, x"),
                    ("x", "1"),
                    ("keep-alive", "5"),
                ],
                Upgrade::None,
                &[],
            ),
            (
                &[("te", "gzip, trailers"), ("connection", "te")],
                Upgrade::None,
                &["te"],
            ),
            (&[("te", "gzip")], Upgrade::None, &[]),
            (
                &[
                    ("transfer-encoding", "chunked"),
                    ("host", "a"),
                    ("connection", "host"),
                ],
                Upgrade::None,
                &["host"],
            ),
            (
                &[
                    ("connection", "Upgrade, x"),
                    ("upgrade", "websocket"),
                    ("x", "1"),
                ],
                Upgrade::Asked,
                &["connection", "upgrade"],
            ),
        ];
        for (before, upgrade, after) in cases {
            let mut headers = map(before);
            strip_hop_by_hop(&mut headers, upgrade);
            assert_eq!(names(&headers), after, "{before:?}");
        }
    }

    #[test]
    fn an_upgrade_is_asked_by_two_headers() {
        let of = |pairs: &[(&str, &str)]| Upgrade::of(Version::HTTP_11, &map(pairs));
        assert_eq!(
            of(&[("connection", "Upgrade"), ("upgrade", "websocket")]),
            Upgrade::Asked
        );
        assert_eq!(of(&[("upgrade", "websocket")]), Upgrade::None);
        assert_eq!(
            of(&[
                ("connection", "upgrade, http2-settings"),
                ("upgrade", "h2c")
            ]),
            Upgrade::None
        );
    }
}
