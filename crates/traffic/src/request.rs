//! What a decision sees of a request: borrowed text, nothing copied.

use http::{HeaderMap, Method, Uri, header};
use smallvec::SmallVec;
use std::ops::Deref;

/// Joined values up to this many bytes stay on the stack.
const JOINED_INLINE_BYTES: usize = 128;

/// A request's head, as far as rules may ask about it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Method as sent; methods are case-sensitive.
    pub method: &'a str,
    /// Path without its query; empty for CONNECT.
    pub path: &'a str,
    /// Authority as the client sent it, port included if it sent one; empty if it sent none.
    pub authority: &'a str,
    /// `http` or `https`, as the request says; `http` where it does not.
    pub scheme: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
}

impl<'a> Request<'a> {
    /// Views a request's head.
    ///
    /// The authority is the target's own (`:authority`, or HTTP/1's absolute form), which RFC 9112 section 3.2.2 puts
    /// before the Host header. A Host that is not UTF-8 is no authority and reads as empty.
    #[must_use]
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        let host = || {
            let value = headers.get(header::HOST)?;
            std::str::from_utf8(value.as_bytes()).ok()
        };
        Self {
            method: method.as_str(),
            path: uri.path(),
            authority: uri
                .authority()
                .map(http::uri::Authority::as_str)
                .or_else(host)
                .unwrap_or_default(),
            scheme: uri.scheme_str().unwrap_or("http"),
            headers,
        }
    }

    /// The value of header `name` (lower case), several values joined; none if it is absent.
    ///
    /// `host` is the authority, whichever way the client sent it: HTTP/2 has no Host header, and a rule must not mean
    /// different things by version. Values are joined with `,` as Envoy does; `cookie` with `; `, because HTTP/2 may
    /// split one cookie header into many (RFC 9113 section 8.2.3).
    #[must_use]
    pub fn header(&self, name: &str) -> Option<HeaderText<'a>> {
        if name == header::HOST.as_str() {
            let authority = self.authority.as_bytes();
            return (!authority.is_empty()).then_some(HeaderText::One(authority));
        }
        let mut values = self.headers.get_all(name).iter();
        let first = values.next()?.as_bytes();
        let Some(second) = values.next() else {
            return Some(HeaderText::One(first));
        };
        let separator: &[u8] = if name == header::COOKIE.as_str() {
            b"; "
        } else {
            b","
        };
        let mut joined = SmallVec::from_slice(first);
        for value in std::iter::once(second).chain(values) {
            joined.extend_from_slice(separator);
            joined.extend_from_slice(value.as_bytes());
        }
        Some(HeaderText::Joined(joined))
    }
}

/// A header's value, see [`Request::header`].
#[derive(Debug, Clone)]
pub enum HeaderText<'a> {
    /// It was sent once.
    One(&'a [u8]),
    /// It was sent several times.
    Joined(SmallVec<[u8; JOINED_INLINE_BYTES]>),
}

impl Deref for HeaderText<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::One(value) => value,
            Self::Joined(value) => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn check(uri: &str, host: Option<&str>, authority: &str, path: &str, scheme: &str) {
        let uri: Uri = uri.parse().unwrap();
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        let request = Request::new(&Method::GET, &uri, &headers);
        assert_eq!(request.authority, authority, "authority of {uri} {host:?}");
        assert_eq!(request.path, path, "path of {uri}");
        assert_eq!(request.scheme, scheme, "scheme of {uri}");
    }

    #[test]
    fn parts_are_read_from_every_form_of_target() {
        check("/a/b?c=d", Some("shop:80"), "shop:80", "/a/b", "http");
        check("/", None, "", "/", "http");
        check("/a?", Some("Shop"), "Shop", "/a", "http");
        check("http://shop/a?b", Some("other"), "shop", "/a", "http");
        check("https://shop:444/a", None, "shop:444", "/a", "https");
        check("http://shop", None, "shop", "/", "http");
        check("*", Some("shop"), "shop", "*", "http");
        check("shop:443", None, "shop:443", "", "http");
    }

    #[test]
    fn an_authority_that_is_no_text_reads_as_empty() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_bytes(b"a\xff").unwrap());
        let uri = Uri::from_static("/");
        assert_eq!(Request::new(&Method::GET, &uri, &headers).authority, "");
    }

    #[test]
    fn values_of_one_header_are_joined() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-one", "a"),
            ("x-two", "a"),
            ("x-two", "b,c"),
            ("x-two", ""),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("x-empty", ""),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let uri = Uri::from_static("http://shop:80/");
        let request = Request::new(&Method::GET, &uri, &headers);
        let header = |name| request.header(name).map(|value| value.to_vec());
        assert_eq!(header("x-one").unwrap(), b"a");
        assert_eq!(header("x-two").unwrap(), b"a,b,c,");
        assert_eq!(header("cookie").unwrap(), b"a=1; b=2");
        assert_eq!(header("x-empty").unwrap(), b"");
        assert_eq!(header("host").unwrap(), b"shop:80");
        assert_eq!(header("absent"), None);
        assert_eq!(header("not a name"), None);
        assert!(matches!(request.header("x-one"), Some(HeaderText::One(_))));
    }

    #[test]
    fn many_long_values_are_joined_too() {
        let mut headers = HeaderMap::new();
        let long = "x".repeat(200);
        for _ in 0..3 {
            headers.append("x-long", HeaderValue::from_str(&long).unwrap());
        }
        let uri = Uri::from_static("/");
        let request = Request::new(&Method::GET, &uri, &headers);
        assert_eq!(request.header("x-long").unwrap().len(), 602);
        assert!(request.header("host").is_none());
    }
}
