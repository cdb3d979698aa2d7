//! Which endpoints a cluster may use, and whether a connection to one is mutual TLS.
//!
//! Source: DestinationRule subsets and `tls.mode`, and Istio's automatic mutual TLS: an endpoint that has an identity is
//! spoken to by it unless the policy says DISABLE.

use weft_model::{
    cluster::{Cluster, UpstreamTls},
    endpoint::{Endpoint, Endpoints},
    identity::SpiffeId,
    selects,
};

/// How an endpoint is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dial<'a> {
    /// Mutual TLS; the peer must be exactly this one.
    MutualTls(&'a SpiffeId),
    /// As plain bytes.
    Plaintext,
}

/// How `tls` has `endpoint` dialled. None: it cannot be used, since mutual TLS is demanded and it has no identity.
#[must_use]
pub fn dial(tls: UpstreamTls, endpoint: &Endpoint) -> Option<Dial<'_>> {
    match (tls, &endpoint.identity) {
        (UpstreamTls::Disable, _) | (UpstreamTls::Auto, None) => Some(Dial::Plaintext),
        (UpstreamTls::Auto | UpstreamTls::Mutual, Some(peer)) => Some(Dial::MutualTls(peer)),
        (UpstreamTls::Mutual, None) => None,
    }
}

/// The endpoints of `endpoints` that belong to `cluster` and can be dialled, draining ones included: a balancer must
/// know them to finish what it sent them.
pub fn members<'a>(
    cluster: &'a Cluster,
    endpoints: &'a Endpoints,
) -> impl Iterator<Item = &'a Endpoint> {
    let same = endpoints.host == cluster.name.host && endpoints.port == cluster.name.port;
    endpoints.endpoints.iter().filter(move |endpoint| {
        same && selects(&cluster.labels, &endpoint.labels) && dial(cluster.tls, endpoint).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use weft_model::endpoint::EndpointId;

    #[test]
    fn an_identity_is_used_unless_the_policy_says_otherwise() {
        let meshed = fixture::endpoint(1, &[("version", "v1")], true);
        let bare = fixture::endpoint(2, &[("version", "v1")], false);
        let peer = meshed.identity.as_ref().unwrap();
        let cases = [
            (UpstreamTls::Auto, &meshed, Some(Dial::MutualTls(peer))),
            (UpstreamTls::Auto, &bare, Some(Dial::Plaintext)),
            (UpstreamTls::Mutual, &meshed, Some(Dial::MutualTls(peer))),
            (UpstreamTls::Mutual, &bare, None),
            (UpstreamTls::Disable, &meshed, Some(Dial::Plaintext)),
            (UpstreamTls::Disable, &bare, Some(Dial::Plaintext)),
        ];
        for (tls, endpoint, expected) in cases {
            assert_eq!(dial(tls, endpoint), expected, "{tls:?} {:?}", endpoint.id);
        }
    }

    #[test]
    fn a_cluster_has_the_endpoints_that_its_labels_select_and_its_tls_can_reach() {
        let mut endpoints = fixture::endpoints(vec![
            fixture::endpoint(1, &[("version", "v1"), ("app", "a")], true),
            fixture::endpoint(2, &[("version", "v2")], true),
            fixture::endpoint(3, &[("version", "v2")], false),
            fixture::endpoint(4, &[], false),
        ]);
        let check = |labels: &[(&str, &str)], tls, expected: &[u64]| {
            let cluster = fixture::cluster(labels, tls);
            let found: Vec<u64> = members(&cluster, &endpoints)
                .map(|endpoint| endpoint.id.0)
                .collect();
            assert_eq!(found, expected, "{labels:?} {tls:?}");
        };
        check(&[], UpstreamTls::Auto, &[1, 2, 3, 4]);
        check(&[], UpstreamTls::Mutual, &[1, 2]);
        check(&[("version", "v2")], UpstreamTls::Auto, &[2, 3]);
        check(&[("version", "v2")], UpstreamTls::Mutual, &[2]);
        check(&[("version", "v1"), ("app", "a")], UpstreamTls::Auto, &[1]);
        check(&[("version", "v3")], UpstreamTls::Disable, &[]);
        endpoints.endpoints[0].draining = true;
        let cluster = fixture::cluster(&[("version", "v1")], UpstreamTls::Auto);
        let found: Vec<EndpointId> = members(&cluster, &endpoints).map(|e| e.id).collect();
        assert_eq!(found, [EndpointId(1)]);
        endpoints.port = 81;
        assert_eq!(members(&cluster, &endpoints).count(), 0);
    }
}
