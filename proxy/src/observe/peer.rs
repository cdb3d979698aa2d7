//! The private header `weft-peer`: what a client's proxy tells the server's about the client, for its metrics.
//!
//! Form: `k=v` joined by `;`. It is read only over mutual TLS; namespace and principal come from the certificate, never
//! from here, and a Service only counts if it is one of the server's own namespace.

use super::labels::{Party, Service};
use http::HeaderValue;
use weft_model::identity::SpiffeId;

/// A Kubernetes label is 63 characters at most, a name 253.
const VALUE_MAX_BYTES: usize = 253;

/// The header's value.
#[must_use]
pub fn encode(source: &Party, service: &Service) -> HeaderValue {
    let text = format!(
        "w={};a={};v={};s={};r={};d={}",
        source.workload,
        source.app,
        source.version,
        source.canonical_service,
        source.canonical_revision,
        service.host,
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Who the client is, and which Service it addressed.
#[must_use]
pub fn decode(value: &HeaderValue, id: &SpiffeId, own_namespace: &str) -> (Party, Service) {
    let mut party = Party::identified(id);
    let mut service = Service::default();
    for (key, value) in value
        .to_str()
        .unwrap_or_default()
        .split(';')
        .filter_map(|p| p.split_once('='))
    {
        let field = match key {
            "w" => &mut party.workload,
            "a" => &mut party.app,
            "v" => &mut party.version,
            "s" => &mut party.canonical_service,
            "r" => &mut party.canonical_revision,
            "d" => {
                if let Ok(host) = value.parse() {
                    let named = Service::of(&host);
                    if named.namespace == own_namespace {
                        service = named;
                    }
                }
                continue;
            }
            _ => continue,
        };
        if !super::families::is_unknown(value) && value.len() <= VALUE_MAX_BYTES {
            value.clone_into(field);
        }
    }
    (party, service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_and_what_is_certified_is_not_taken_from_it() {
        let id: SpiffeId = "spiffe://cluster.local/ns/shop/sa/web".parse().unwrap();
        let labels = [("app".to_owned(), "web".to_owned())].into_iter().collect();
        let source = Party::new("web-1", "elsewhere", None, &labels);
        let service = Service::of(&"pay.production.svc.cluster.local".parse().unwrap());
        let header = encode(&source, &service);
        let (party, read) = decode(&header, &id, "production");
        assert_eq!(party.workload, "web-1");
        assert_eq!(party.app, "web");
        assert_eq!(party.version, "unknown");
        assert_eq!(party.namespace, "shop");
        assert_eq!(party.principal, id.as_str());
        assert_eq!(read, service);
        let (_, foreign) = decode(&header, &id, "other");
        assert_eq!(foreign, Service::default());
    }
}
