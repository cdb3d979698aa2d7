//! Replies that a rule makes itself, and rewrites: checked, and not enforced yet.

use crate::{
    report::{Fault, Report},
    virtual_service::matching,
};
use weft_crds::{
    http_match::HttpMatchRequest,
    http_route::{HttpDirectResponse, HttpRedirect, HttpRewrite},
};

/// Statuses that a client follows as a redirect.
const REDIRECT_CODES: [u16; 5] = [301, 302, 303, 307, 308];

/// Largest body of a direct response, in bytes, and the size from which it is a warning.
const BODY_MAX_BYTES: usize = 1 << 20;
const BODY_LARGE_BYTES: usize = 100 * 1024;

/// Checks a redirect of a rule with these matches.
pub(super) fn redirect(
    redirect: &HttpRedirect,
    matches: &[HttpMatchRequest],
    path: &str,
    report: &mut Report,
) {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&redirect.uri) && given(&redirect.prefix_rewrite) {
        report.invalid(
            format!("{path}.prefixRewrite"),
            Fault::new(
                "ConflictingActions",
                "a redirect cannot have both uri and prefixRewrite",
                "keep one of the two",
            ),
        );
    }
    let prefix =
        |block: &HttpMatchRequest| block.uri.as_ref().is_some_and(|uri| uri.prefix.is_some());
    let matched = !matches.is_empty() && matches.iter().all(prefix);
    if given(&redirect.prefix_rewrite) && !matched {
        report.invalid(
            format!("{path}.prefixRewrite"),
            Fault::new(
                "NoPrefix",
                "prefixRewrite replaces a matched prefix, and a match has none",
                "match on uri.prefix, or use redirect.uri",
            ),
        );
    }
    let changes = given(&redirect.uri)
        || given(&redirect.prefix_rewrite)
        || given(&redirect.authority)
        || given(&redirect.scheme)
        || redirect.port.is_some()
        || redirect.derive_port.is_some();
    if !changes {
        report.invalid(
            path,
            Fault::new(
                "EmptyAction",
                "the redirect leads to where the request was",
                "give one of uri, prefixRewrite, authority, port and scheme",
            ),
        );
    }
    if redirect.port.is_some() && redirect.derive_port.is_some() {
        report.invalid(
            format!("{path}.derivePort"),
            Fault::new(
                "ConflictingActions",
                "a redirect cannot have both port and derivePort",
                "keep one of the two",
            ),
        );
    }
    if let Some(scheme) = redirect.scheme.as_deref().filter(|it| !it.is_empty())
        && !matches!(scheme, "http" | "https")
    {
        report.invalid(
            format!("{path}.scheme"),
            Fault::new(
                "UnknownValue",
                format!("`{scheme}` is not a scheme to redirect to"),
                "use http or https",
            ),
        );
    }
    if let Some(code) = redirect.redirect_code
        && !REDIRECT_CODES.contains(&code)
    {
        report.invalid(
            format!("{path}.redirectCode"),
            Fault::new(
                "UnknownValue",
                format!("{code} is not a status that clients follow"),
                "use 301, 302, 303, 307 or 308",
            ),
        );
    }
}

/// Checks a fixed reply.
pub(super) fn direct_response(response: &HttpDirectResponse, path: &str, report: &mut Report) {
    if !(200..=600).contains(&response.status) {
        report.invalid(
            format!("{path}.status"),
            Fault::new(
                "OutOfBounds",
                "the status is no HTTP status",
                "use 200 to 600",
            ),
        );
    }
    let Some(body) = &response.body else {
        return;
    };
    let path = format!("{path}.body");
    let bytes = body
        .string
        .as_ref()
        .or(body.bytes.as_ref())
        .map_or(0, String::len);
    match (&body.string, &body.bytes) {
        (Some(_), Some(_)) => report.invalid(
            path.clone(),
            Fault::new(
                "ConflictingActions",
                "a body cannot have both string and bytes",
                "keep one of the two",
            ),
        ),
        (None, None) => report.invalid(
            path.clone(),
            Fault::new(
                "EmptyAction",
                "the body says nothing",
                "give string, or leave it out",
            ),
        ),
        _ => {}
    }
    if bytes > BODY_MAX_BYTES {
        report.invalid(
            path,
            Fault::new(
                "OutOfBounds",
                "the body has more than 1 MiB",
                "serve it from a workload",
            ),
        );
    } else if bytes > BODY_LARGE_BYTES {
        report.warn(
            path,
            Fault::new(
                "LargeBody",
                "the body has more than 100 kB, and every proxy keeps it in memory",
                "serve it from a workload",
            ),
        );
    }
}

/// Checks a change of path or authority.
pub(super) fn rewrite(rewrite: &HttpRewrite, path: &str, report: &mut Report) {
    let given = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    if given(&rewrite.uri) && rewrite.uri_regex_rewrite.is_some() {
        report.invalid(
            format!("{path}.uriRegexRewrite"),
            Fault::new(
                "ConflictingActions",
                "a rewrite cannot have both uri and uriRegexRewrite",
                "keep one of the two",
            ),
        );
    }
    if !given(&rewrite.uri) && !given(&rewrite.authority) && rewrite.uri_regex_rewrite.is_none() {
        report.invalid(
            path,
            Fault::new(
                "EmptyAction",
                "the rewrite changes nothing",
                "give uri, authority or uriRegexRewrite",
            ),
        );
    }
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        let path = format!("{path}.uriRegexRewrite");
        match regex.matches.as_deref() {
            None | Some("") => report.invalid(
                format!("{path}.match"),
                Fault::new("MissingField", "`match` is required", "add it"),
            ),
            Some(text) => {
                report.take(&format!("{path}.match"), matching::pattern(text));
            }
        }
        if regex.rewrite.is_none() {
            report.invalid(
                format!("{path}.rewrite"),
                Fault::new("MissingField", "`rewrite` is required", "add it"),
            );
        }
    }
}
