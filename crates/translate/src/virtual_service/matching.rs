//! A match block of an HTTP rule: what it asks of a request.

use crate::{
    names,
    report::{Fault, Report},
};
use std::collections::BTreeMap;
use weft_crds::{http_match::HttpMatchRequest, string_match};
use weft_model::{
    matching::{HeaderMatch, HeaderValueMatch, HttpMatch, StringMatch, UriMatch},
    pattern::Pattern,
    policy::RuleMatch,
};

/// Keys of `headers` that Istio ignores, since fields of their own are meant.
const RESERVED: [&str; 4] = ["uri", "scheme", "method", "authority"];

/// Claims of a token as headers, which only gateways know.
const CLAIMS: &str = "@request.auth.claims";

/// What a block asks, as far as it is enforced.
pub(super) fn block(block: &HttpMatchRequest, path: &str, report: &mut Report) -> RuleMatch {
    if *block == HttpMatchRequest::default() {
        report.invalid(
            path,
            Fault::new(
                "EmptyMatch",
                "a match block may not be empty",
                "remove `match` for a rule that always applies",
            ),
        );
    }
    let mut field = |value: &Option<string_match::StringMatch>, name: &str, empty| {
        let value = value.as_ref()?;
        text(value, &format!("{path}.{name}"), empty, report)
    };
    let uri = field(&block.uri, "uri", EmptyPrefix::Fine);
    let method = field(&block.method, "method", EmptyPrefix::Refused);
    let authority = field(&block.authority, "authority", EmptyPrefix::Refused);
    field(&block.scheme, "scheme", EmptyPrefix::Refused);
    for (name, value) in &block.query_params {
        // Presence of a parameter is `exact: ""`, or nothing at all.
        if *value != string_match::StringMatch::default() {
            let path = format!("{path}.queryParams[{name}]");
            text(value, &path, EmptyPrefix::Refused, report);
        }
    }
    headers(
        &block.without_headers,
        &format!("{path}.withoutHeaders"),
        report,
    );
    let headers = headers(&block.headers, &format!("{path}.headers"), report);
    crate::selector::labels(
        &block.source_labels,
        &format!("{path}.sourceLabels"),
        report,
    );
    if let Some(namespace) = &block.source_namespace
        && let Err(fault) = names::dns_label(namespace, "a namespace")
    {
        report.invalid(format!("{path}.sourceNamespace"), fault);
    }
    let ignore_case = block.ignore_uri_case.unwrap_or_default();
    let is_regex = uri
        .as_ref()
        .is_some_and(|uri| matches!(uri, StringMatch::Regex(_)));
    if ignore_case && (uri.is_none() || is_regex) {
        report.warn(
            format!("{path}.ignoreUriCase"),
            Fault::new(
                "NoEffect",
                "ignoreUriCase has an effect only on an exact or prefix uri",
                "remove it; in a regex write (?i)",
            ),
        );
    }
    RuleMatch {
        request: HttpMatch {
            name: block.name.clone().filter(|name| !name.is_empty()),
            uri: uri.map(|path| UriMatch {
                path,
                ignore_case: ignore_case && !is_regex,
            }),
            method,
            authority,
            headers,
        },
        port: block.port,
    }
}

/// Whether an empty prefix is admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EmptyPrefix {
    /// It covers every path.
    Fine,
    /// It would cover every value, which is presence.
    Refused,
}

/// A condition on one text.
fn text(
    value: &string_match::StringMatch,
    path: &str,
    empty: EmptyPrefix,
    report: &mut Report,
) -> Option<StringMatch> {
    match (&value.exact, &value.prefix, &value.regex) {
        (Some(exact), None, None) => Some(StringMatch::Exact(exact.clone())),
        (None, Some(prefix), None) => {
            if prefix.is_empty() && empty == EmptyPrefix::Refused {
                report.invalid(
                    format!("{path}.prefix"),
                    Fault::new(
                        "EmptyPrefix",
                        "a prefix may not be empty",
                        "leave the condition out, or for a header write {} to ask that it is there",
                    ),
                );
                return None;
            }
            Some(StringMatch::Prefix(prefix.clone()))
        }
        (None, None, Some(regex)) => {
            let path = format!("{path}.regex");
            if regex.is_empty() {
                report.invalid(
                    path,
                    Fault::new(
                        "InvalidRegex",
                        "a regular expression may not be empty",
                        "write `exact: \"\"` for the empty value",
                    ),
                );
                return None;
            }
            report.take(&path, pattern(regex)).map(StringMatch::Regex)
        }
        (None, None, None) => {
            report.invalid(
                path,
                Fault::new(
                    "EmptyMatch",
                    "the condition says nothing",
                    "give one of exact, prefix and regex",
                ),
            );
            None
        }
        _ => {
            report.invalid(
                path,
                Fault::new(
                    "ConflictingMatch",
                    "only one of exact, prefix and regex can be set",
                    "keep one, or write a block for each",
                ),
            );
            None
        }
    }
}

/// A regular expression with RE2's meaning.
pub(super) fn pattern(regex: &str) -> Result<Pattern, Fault> {
    Pattern::parse(regex).map_err(|error| {
        Fault::new(
            "InvalidRegex",
            error.to_string(),
            "write it in RE2's syntax (no look-around, no back-references); it must match the whole value",
        )
    })
}

/// Conditions on headers.
fn headers(
    conditions: &BTreeMap<String, string_match::StringMatch>,
    path: &str,
    report: &mut Report,
) -> Vec<HeaderMatch> {
    let mut headers = Vec::new();
    for (name, value) in conditions {
        let path = format!("{path}[{name}]");
        if RESERVED.contains(&name.as_str()) {
            report.warn(
                path,
                Fault::new(
                    "NoEffect",
                    format!("`{name}` is not a header, and the condition is ignored"),
                    format!("use the block's field `{name}`"),
                ),
            );
            continue;
        }
        if name.starts_with(CLAIMS) {
            report.invalid(
                path,
                Fault::new(
                    "InvalidHeaderName",
                    "claims of a token can be matched at a gateway only",
                    "match a header that the application sets",
                ),
            );
            continue;
        }
        if report.take(&path, names::header_name(name)).is_none() {
            continue;
        }
        let nothing = *value == string_match::StringMatch::default();
        // `regex: "*"` is no expression; Istio reads it as presence, and users write it.
        let star =
            value.regex.as_deref() == Some("*") && value.exact.is_none() && value.prefix.is_none();
        let value = if nothing || star {
            HeaderValueMatch::Present
        } else {
            match text(value, &path, EmptyPrefix::Refused, report) {
                Some(value) => HeaderValueMatch::Value(value),
                None => continue,
            }
        };
        headers.push(HeaderMatch {
            name: name.to_ascii_lowercase(),
            value,
        });
    }
    headers
}
