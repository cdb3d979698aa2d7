//! Cross-origin policy of a rule: checked, and not enforced yet.

use super::deprecated;
use crate::{
    duration, names,
    report::{Fault, Report},
    virtual_service::matching,
};
use weft_crds::{http_route::CorsPolicy, string_match::StringMatch};

/// Checks origins, methods, headers and age.
pub(super) fn check(cors: &CorsPolicy, path: &str, report: &mut Report) {
    const METHODS: [&str; 10] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*",
    ];
    if !cors.allow_origin.is_empty() {
        report.warn(
            format!("{path}.allowOrigin"),
            deprecated("allowOrigin", "allowOrigins"),
        );
    }
    for (index, origin) in cors.allow_origins.iter().enumerate() {
        let path = format!("{path}.allowOrigins[{index}]");
        if *origin == StringMatch::default() || origin.prefix.as_deref() == Some("") {
            report.invalid(
                path,
                Fault::new(
                    "EmptyMatch",
                    "the origin says nothing",
                    "give exact, prefix or regex",
                ),
            );
        } else if let Some(regex) = &origin.regex {
            report.take(&format!("{path}.regex"), matching::pattern(regex));
        }
    }
    for (index, method) in cors.allow_methods.iter().enumerate() {
        if !METHODS.contains(&method.as_str()) {
            report.invalid(
                format!("{path}.allowMethods[{index}]"),
                Fault::new(
                    "UnknownValue",
                    format!("`{method}` is not a method"),
                    format!("use one of {}", METHODS.join(", ")),
                ),
            );
        }
    }
    for (name, headers) in [
        ("allowHeaders", &cors.allow_headers),
        ("exposeHeaders", &cors.expose_headers),
    ] {
        for (index, header) in headers.iter().enumerate() {
            if let Err(fault) = names::header_name(header) {
                report.invalid(format!("{path}.{name}[{index}]"), fault);
            }
        }
    }
    if let Some(text) = &cors.max_age
        && let Some(age) = report.take(&format!("{path}.maxAge"), duration::positive(text))
        && age.subsec_nanos() != 0
    {
        report.invalid(
            format!("{path}.maxAge"),
            Fault::new(
                "InvalidDuration",
                "maxAge is more precise than 1s",
                "give whole seconds",
            ),
        );
    }
}
