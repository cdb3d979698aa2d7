//! `when` conditions and path templates of an AuthorizationPolicy.

use super::port;
use crate::{
    names,
    report::{Fault, Report},
};
use weft_crds::authorization_policy::Condition;

/// Attributes without a key in brackets.
const PLAIN: [&str; 12] = [
    "source.ip",
    "remote.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "source.trustDomain",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.ip",
    "destination.port",
    "connection.sni",
];

/// Attributes with a key in brackets.
const KEYED: [&str; 2] = ["request.headers", "request.auth.claims"];

/// Checks a condition.
pub(super) fn check(when: &Condition, path: &str, report: &mut Report) {
    if when.values.is_empty() && when.not_values.is_empty() {
        report.invalid(
            format!("{path}.values"),
            Fault::new(
                "MissingField",
                "the condition compares with nothing",
                "add values or notValues",
            ),
        );
    }
    if !known(&when.key) {
        report.invalid(
            format!("{path}.key"),
            Fault::new(
                "UnknownValue",
                format!("`{}` is not an attribute", when.key),
                format!(
                    "use one of {}, request.headers[name], request.auth.claims[name]",
                    PLAIN.join(", ")
                ),
            ),
        );
        return;
    }
    for (name, values) in [("values", &when.values), ("notValues", &when.not_values)] {
        for (index, value) in values.iter().enumerate() {
            let path = format!("{path}.{name}[{index}]");
            match when.key.as_str() {
                "source.ip" | "remote.ip" | "destination.ip" => {
                    report.take(&path, names::cidr(value));
                }
                "destination.port" => {
                    report.take(&path, port(value));
                }
                _ if value.is_empty() => report.invalid(
                    path,
                    Fault::new("EmptyMatch", "an empty value never matches", "remove it"),
                ),
                _ => {}
            }
        }
    }
}

fn known(key: &str) -> bool {
    let keyed = |prefix: &&str| {
        key.strip_prefix(*prefix)
            .and_then(|rest| rest.strip_prefix('['))
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inner| match *prefix {
                "request.headers" => names::is_header_name(inner),
                // Nested claims: `claims[a][b]`.
                _ => inner.split("][").all(|part| !part.is_empty()),
            })
    };
    PLAIN.contains(&key) || KEYED.iter().any(keyed)
}

/// Checks a path's templates: `{*}` is one segment, `{**}` any number and the last operator.
pub(super) fn path_template(path: &str) -> Result<(), Fault> {
    if !path.contains(['{', '}']) {
        return Ok(());
    }
    let bad = |reason: &str| {
        Err(Fault::new(
            "InvalidPath",
            format!("`{path}` {reason}"),
            "use {*} for one segment and {**} for any number of them, each as a whole segment",
        ))
    };
    let mut open = false;
    for segment in path.trim_start_matches('/').split('/') {
        if segment.contains(['{', '}']) && !matches!(segment, "{*}" | "{**}") {
            return bad("has a brace that is no template");
        }
        if !segment.contains('{') && segment.contains('*') {
            return bad("mixes templates and `*`");
        }
        if open && segment.contains('{') {
            return bad("has a template after {**}");
        }
        open |= segment == "{**}";
    }
    Ok(())
}
