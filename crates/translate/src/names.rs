//! Names that fields must have: DNS labels, header names, label selectors, gateways.

use crate::report::Fault;
use weft_model::host::{Host, HostError};

/// A DNS-1123 label: lower case, digits and `-`, at most 63 characters.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty()
        && text.len() <= 63
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// See [`is_dns_label`]; `what` names the thing in the reason.
pub(crate) fn dns_label(text: &str, what: &str) -> Result<(), Fault> {
    if is_dns_label(text) {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidName",
            format!("`{text}` is not a name for {what}"),
            "use lower-case letters, digits and `-`, at most 63 characters, beginning and ending with a letter or digit",
        ))
    }
}

/// The name of a subset or a port: Istio admits capitals in them.
pub(crate) fn label_name(text: &str, what: &str) -> Result<(), Fault> {
    if is_dns_label(&text.to_ascii_lowercase()) {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidName",
            format!("`{text}` is not a name for {what}"),
            "use letters, digits and `-`, at most 63 characters, beginning and ending with a letter or digit",
        ))
    }
}

/// A DNS-1123 subdomain: labels with dots.
pub(crate) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// A header's name (RFC 9110, `token`).
pub(crate) fn is_header_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
}

/// See [`is_header_name`].
pub(crate) fn header_name(text: &str) -> Result<(), Fault> {
    if is_header_name(text) {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidHeaderName",
            format!("`{text}` is not a header name"),
            "use letters, digits and `-`",
        ))
    }
}

/// A header's value: no control characters.
pub(crate) fn header_value(text: &str) -> Result<(), Fault> {
    if text.chars().all(|c| c == '\t' || !c.is_control()) {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidHeaderValue",
            "a header value has a control character",
            "write it on one line",
        ))
    }
}

/// A Kubernetes label key: `[prefix/]name`.
fn is_label_key(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_dns_subdomain) && !name.is_empty() && is_label_value(name)
}

/// A Kubernetes label value.
fn is_label_value(text: &str) -> bool {
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    text.len() <= 63
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        && end(text.chars().next())
        && end(text.chars().last())
}

/// A label of a selector.
pub(crate) fn label(key: &str, value: &str) -> Result<(), Fault> {
    let fault = |text: &str, what: &str| {
        Fault::new(
            "InvalidLabel",
            format!("`{text}` is not a label {what}"),
            "labels have letters, digits, `-`, `_` and `.`, at most 63 characters; wildcards are not supported",
        )
    };
    if !is_label_key(key) {
        return Err(fault(key, "key"));
    }
    if !is_label_value(value) {
        return Err(fault(value, "value"));
    }
    Ok(())
}

/// A destination's host as an object in `namespace` means it.
pub(crate) fn destination_host(name: &str, namespace: &str, domain: &str) -> Result<Host, Fault> {
    if name.contains('*') {
        return Err(Fault::new(
            "InvalidHost",
            format!("a destination may not be a wildcard, but this is `{name}`"),
            "name one host",
        ));
    }
    Host::complete(name, namespace, domain).map_err(host_fault)
}

/// Why a host is refused, with what to do.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the argument of map_err"
)]
pub(crate) fn host_fault(error: HostError) -> Fault {
    Fault::new(
        "InvalidHost",
        error.to_string(),
        "give a Service's name, a full name like `reviews.shop.svc.cluster.local`, or `*.suffix` where a wildcard is allowed",
    )
}

/// One address or a block in CIDR notation.
pub(crate) fn cidr(text: &str) -> Result<(), Fault> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let fits = address.parse::<std::net::IpAddr>().is_ok_and(|address| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.is_none_or(|bits| bits.parse::<u8>().is_ok_and(|bits| bits <= most))
    });
    if fits {
        Ok(())
    } else {
        Err(Fault::new(
            "InvalidAddress",
            format!("`{text}` is neither an IP address nor a block of them"),
            "write for example 10.1.0.0/16 or 10.1.2.3",
        ))
    }
}
