//! What the first bytes of a connection say, as a pure function.
//!
//! The trade-off: a request line is HTTP/1 only once its end (` HTTP/1.`) has been seen, so that a text protocol whose
//! first word looks like a method (`EHLO`, `USER`) is not mistaken. The price is that a request line longer than the
//! bound of detection passes as opaque bytes: it works, without policy for requests.

/// What bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// HTTP/1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// A TLS record with a handshake in it.
    Tls,
    /// Something else.
    Opaque,
    /// Not decided yet.
    More,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Long enough for every registered method, short enough to give up early on other bytes.
const METHOD_MAX_BYTES: usize = 32;
const RECORD_HANDSHAKE: u8 = 0x16;
const RECORD_MAJOR: u8 = 0x03;

/// See the module.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Sniffed {
    if bytes.is_empty() {
        return Sniffed::More;
    }
    if bytes.starts_with(PREFACE) {
        return Sniffed::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return Sniffed::More;
    }
    match bytes {
        [RECORD_HANDSHAKE, RECORD_MAJOR, ..] => return Sniffed::Tls,
        [RECORD_HANDSHAKE] => return Sniffed::More,
        _ => {}
    }
    request_line(bytes)
}

/// Whether more bytes could make these the beginning of TLS.
#[must_use]
pub fn may_be_tls(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [] | [RECORD_HANDSHAKE] | [RECORD_HANDSHAKE, RECORD_MAJOR, ..]
    )
}

fn request_line(bytes: &[u8]) -> Sniffed {
    // Empty lines before a request are legal (RFC 9112, 2.2), and hyper skips them.
    let mut rest = bytes;
    while let [b'\r' | b'\n', tail @ ..] = rest {
        rest = tail;
    }
    if rest.is_empty() {
        return if bytes.len() <= 4 {
            Sniffed::More
        } else {
            Sniffed::Opaque
        };
    }
    let end = rest.iter().position(|&byte| !is_token(byte));
    match end {
        Some(end) if end > 0 && end <= METHOD_MAX_BYTES && rest.get(end) == Some(&b' ') => {}
        None if rest.len() <= METHOD_MAX_BYTES => return Sniffed::More,
        _ => return Sniffed::Opaque,
    }
    let (line, ended) = match rest.iter().position(|&byte| byte == b'\n') {
        Some(at) => (rest.get(..at).unwrap_or_default(), true),
        None => (rest, false),
    };
    let version = b" HTTP/1.";
    if line.windows(version.len()).any(|window| window == version) {
        Sniffed::Http1
    } else if ended || line.iter().any(|&byte| byte < b' ' && byte != b'\r') {
        Sniffed::Opaque
    } else {
        Sniffed::More
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Sniffed) {
        assert_eq!(
            sniff(bytes),
            expected,
            "{:?}",
            String::from_utf8_lossy(bytes)
        );
    }

    #[test]
    fn first_bytes_tell_the_protocol() {
        for (bytes, expected) in [
            (&b"GET / HTTP/1.1\r\n"[..], Sniffed::Http1),
            (b"GET / HTTP/1.0", Sniffed::Http1),
            (b"\r\nPOST /a?b=c HTTP/1.1", Sniffed::Http1),
            (b"PROPFIND /dav HTTP/1.1\r\n", Sniffed::Http1),
            (b"CONNECT a:443 HTTP/1.1\r\n", Sniffed::Http1),
            (PREFACE, Sniffed::Http2),
            (b"\x16\x03\x01\x02\x00", Sniffed::Tls),
            (b"EHLO example.org\r\n", Sniffed::Opaque),
            (b"PING\r\n", Sniffed::Opaque),
            (b"*1\r\n$4\r\nPING\r\n", Sniffed::Opaque),
            (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Sniffed::Opaque),
            (b"GET\x00", Sniffed::Opaque),
            (b"{\"a\":1}", Sniffed::Opaque),
            (b"\x10\x20\x00\x04MQTT", Sniffed::Opaque),
        ] {
            check(bytes, expected);
        }
    }

    #[test]
    fn every_prefix_of_a_decision_asks_for_more_and_never_decides_otherwise() {
        for (whole, expected) in [
            (&b"GET /path/to?x=1 HTTP/1.1\r\n"[..], Sniffed::Http1),
            (PREFACE, Sniffed::Http2),
            (b"\x16\x03\x01", Sniffed::Tls),
        ] {
            for end in 0..=whole.len() {
                let now = sniff(&whole[..end]);
                assert!(
                    now == Sniffed::More || now == expected,
                    "{end} of {expected:?}: {now:?}"
                );
            }
        }
    }
}
