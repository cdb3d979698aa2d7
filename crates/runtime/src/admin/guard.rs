//! Keeps web pages out of the admin server.
//!
//! Place: before every route. A page in a browser on this machine can reach a loopback port: by a name
//! of its own that it lets resolve to 127.0.0.1 (and then it reads the answers), or by a cross-site
//! request (and then it may change something blindly). Neither has a business here: a loopback
//! listener answers to addresses and `localhost` only, and no listener takes a cross-site request
//! that is more than a look.

use std::net::{IpAddr, SocketAddr};

use http::{Method, StatusCode, header, request};

use super::AdminReply;

/// Why a request is not answered, if it is not. `local` is the address it came to.
pub(super) fn refuse(head: &request::Parts, local: SocketAddr) -> Option<AdminReply> {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let host = head.uri.host().or_else(|| text(header::HOST.as_str()));
    if local.ip().is_loopback() && !host.is_none_or(is_this_machine) {
        let why = "ask for this port by its address or as localhost\n";
        return Some(AdminReply::text(StatusCode::MISDIRECTED_REQUEST, why));
    }
    let looks = matches!(head.method, Method::GET | Method::HEAD);
    if !looks && text("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        let why = "a page of another site may not change anything here\n";
        return Some(AdminReply::text(StatusCode::FORBIDDEN, why));
    }
    None
}

/// Whether a Host (with or without a port) is an address or `localhost`.
fn is_this_machine(host: &str) -> bool {
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        local: &str,
        method: Method,
        headers: &[(&'static str, &'static str)],
        status: Option<u16>,
    ) {
        let mut request = http::Request::builder().method(method).uri("/config");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        let refused = refuse(&head, local.parse().unwrap());
        assert_eq!(
            refused.map(|reply| reply.status.as_u16()),
            status,
            "{local} {headers:?}"
        );
    }

    #[test]
    fn a_loopback_port_answers_to_this_machine_only() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:15000",
            "localhost:15000",
            "LOCALHOST",
            "[::1]:80",
            "::1",
        ] {
            check("127.0.0.1:15000", Method::GET, &[("host", host)], None);
        }
        check("127.0.0.1:15000", Method::GET, &[], None);
        for host in [
            "evil.example",
            "evil.example:15000",
            "localhost.evil.example",
        ] {
            check("127.0.0.1:15000", Method::GET, &[("host", host)], Some(421));
            check("[::1]:15000", Method::GET, &[("host", host)], Some(421));
            check("10.0.0.1:15020", Method::GET, &[("host", host)], None);
        }
    }

    #[test]
    fn another_site_may_look_but_not_touch() {
        let site = |site| [("host", "localhost"), ("sec-fetch-site", site)];
        check("127.0.0.1:1", Method::POST, &site("cross-site"), Some(403));
        check("127.0.0.1:1", Method::POST, &site("same-origin"), None);
        check("127.0.0.1:1", Method::GET, &site("cross-site"), None);
        check("127.0.0.1:1", Method::POST, &[("host", "localhost")], None);
    }
}
