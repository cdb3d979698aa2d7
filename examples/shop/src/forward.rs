//! What a service carries from the request it serves to the requests it makes for it.

use http::HeaderMap;

use crate::names::FORWARDED;

/// The headers of `incoming` that belong on every outgoing request.
///
/// A header that came in several lines (tracestate may) goes out in as many.
pub(crate) fn headers(incoming: &HeaderMap) -> HeaderMap {
    let mut outgoing = HeaderMap::new();
    for name in &FORWARDED {
        for value in incoming.get_all(name) {
            outgoing.append(name, value.clone());
        }
    }
    outgoing
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn carries_the_context_and_nothing_else() {
        let mut incoming = HeaderMap::new();
        for name in &FORWARDED {
            incoming.append(name, HeaderValue::from_static("1"));
        }
        incoming.append("tracestate", HeaderValue::from_static("2"));
        let mut with_more = incoming.clone();
        for other in [
            "host",
            "authorization",
            "x-forwarded-client-cert",
            "content-length",
        ] {
            with_more.insert(other, HeaderValue::from_static("no"));
        }
        assert_eq!(headers(&with_more), incoming);
    }
}
