//! Reads who called from `x-forwarded-client-cert`, the header in which a mesh tells an application
//! the certificate of its peer (Envoy's syntax).
//!
//! The shop believes the header because only the sidecar in front of it can reach it; it reports
//! the value and decides nothing by it. It never forwards the header.

use http::HeaderMap;

use crate::names::CLIENT_CERT;

/// The scheme of a SPIFFE id.
const SPIFFE: &str = "spiffe://";

/// The SPIFFE id of the immediate peer, or `None` when the mesh named none.
///
/// Each proxy on the way appends an element after a comma; the last one is the peer that this
/// process's own sidecar saw.
pub(crate) fn peer(headers: &HeaderMap) -> Option<String> {
    let value = headers
        .get_all(CLIENT_CERT)
        .iter()
        .next_back()?
        .to_str()
        .ok()?;
    let element = unquoted_split(value, ',').pop()?;
    unquoted_split(element, ';').into_iter().find_map(|pair| {
        let (key, id) = pair.split_once('=')?;
        let id = id.trim().trim_matches('"');
        (key.trim().eq_ignore_ascii_case("uri") && id.starts_with(SPIFFE)).then(|| id.to_owned())
    })
}

/// Splits at `separator` where it stands outside double quotes; `\"` inside quotes does not end them.
fn unquoted_split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let was_escaped = escaped;
        escaped = quoted && c == '\\' && !was_escaped;
        if c == '"' && !was_escaped {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(header: &str, expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(CLIENT_CERT, HeaderValue::from_str(header).unwrap());
        assert_eq!(peer(&headers).as_deref(), expected, "{header}");
    }

    #[test]
    fn finds_the_immediate_peer() {
        let order = "spiffe://cluster.local/ns/production/sa/order-service";
        check(&format!("URI={order}"), Some(order));
        check(
            &format!("By=spiffe://x/y;Hash=ab12;Subject=\"\";URI={order}"),
            Some(order),
        );
        check(
            &format!("Subject=\"CN=a,O=\\\"b;URI=spiffe://no\\\"\";URI={order}"),
            Some(order),
        );
        check(
            &format!("URI=spiffe://td/first,By=x;uri={order}"),
            Some(order),
        );
        check(&format!("URI=https://example.org;URI={order}"), Some(order));
        check("By=spiffe://only/the/server", None);
        check("URI=https://example.org", None);
        check(",", None);
        check("", None);
    }

    #[test]
    fn no_header_is_no_peer() {
        assert_eq!(peer(&HeaderMap::new()), None);
    }
}
