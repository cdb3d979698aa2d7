//! What a document says that its kind's schema does not allow, as problems with a remedy.
//!
//! A field that was removed from Istio long ago is a warning, since old YAML is full of them; any
//! other unknown field makes the object invalid, as `kubectl apply` refuses it: a misspelt field is
//! something that the author wanted and would not get.

use crate::report::{Fault, Report};
use serde_json::{Value, json};
use weft_crds::{
    check::{self, Bound, Finding},
    kind::Kind,
    mesh_config,
};

/// Fields that Istio had once: kind, the path's pattern without indices, what to do.
const REMOVED: &[(Kind, &str, &str)] = &[
    (
        Kind::VirtualService,
        "spec.http.websocketUpgrade",
        "remove it: WebSocket works without",
    ),
    (
        Kind::VirtualService,
        "spec.http.appendHeaders",
        "use headers.request.add",
    ),
    (
        Kind::VirtualService,
        "spec.http.appendRequestHeaders",
        "use headers.request.add",
    ),
    (
        Kind::VirtualService,
        "spec.http.removeRequestHeaders",
        "use headers.request.remove",
    ),
    (
        Kind::VirtualService,
        "spec.http.appendResponseHeaders",
        "use headers.response.add",
    ),
    (
        Kind::VirtualService,
        "spec.http.removeResponseHeaders",
        "use headers.response.remove",
    ),
    (
        Kind::VirtualService,
        "spec.http.route.appendRequestHeaders",
        "use headers.request.add",
    ),
    (
        Kind::VirtualService,
        "spec.http.route.removeRequestHeaders",
        "use headers.request.remove",
    ),
    (
        Kind::VirtualService,
        "spec.http.route.appendResponseHeaders",
        "use headers.response.add",
    ),
    (
        Kind::VirtualService,
        "spec.http.route.removeResponseHeaders",
        "use headers.response.remove",
    ),
    (
        Kind::VirtualService,
        "spec.http.route.destination.port.name",
        "use port.number",
    ),
    (
        Kind::VirtualService,
        "spec.http.mirror.port.name",
        "use port.number",
    ),
    (
        Kind::VirtualService,
        "spec.tcp.route.destination.port.name",
        "use port.number",
    ),
    (
        Kind::VirtualService,
        "spec.tls.route.destination.port.name",
        "use port.number",
    ),
    (Kind::VirtualService, "spec.tcp.match.l4Match", "remove it"),
    (
        Kind::DestinationRule,
        "spec.trafficPolicy.outlierDetection.http",
        "use the fields of outlierDetection itself, for example consecutive5xxErrors",
    ),
    (
        Kind::DestinationRule,
        "spec.trafficPolicy.portLevelSettings.port.name",
        "use port.number",
    ),
    (Kind::PeerAuthentication, "spec.mtls.allowTls", "remove it"),
];

/// The `spec` of a document as far as it can be read, without what the kind does not have. Nothing
/// where a value would not deserialize.
pub(crate) fn spec(kind: Kind, document: &Value, report: &mut Report) -> Option<Value> {
    top_level(kind, document, report);
    // An absent `spec` is an empty one, as in Istio: an AuthorizationPolicy without denies everything.
    let empty = json!({});
    let spec = match document.get("spec") {
        None | Some(Value::Null) => &empty,
        Some(spec) => spec,
    };
    let mut readable = true;
    for finding in check::spec(kind, spec) {
        readable &= matches!(finding.fault, check::Fault::Unknown { .. });
        problem(kind, finding, report);
    }
    readable.then(|| check::prune(kind, spec))
}

fn top_level(kind: Kind, document: &Value, report: &mut Report) {
    const KNOWN: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
    for key in document.as_object().into_iter().flat_map(|it| it.keys()) {
        if !KNOWN.contains(&key.as_str()) {
            let known = KNOWN.map(str::to_owned);
            report.invalid(key, unknown(key, &known));
        }
    }
    let name = document.pointer("/metadata/name").and_then(Value::as_str);
    match name {
        None | Some("") => report.invalid(
            "metadata.name",
            Fault::new("NoName", "the object has no name", "give it one"),
        ),
        Some(name) if !crate::names::is_dns_subdomain(name) => report.invalid(
            "metadata.name",
            Fault::new(
                "InvalidName",
                format!("`{name}` is not an object's name"),
                "use lower-case letters, digits, `-` and `.`",
            ),
        ),
        Some(name) if kind == Kind::MeshConfig && name != mesh_config::NAME => report.invalid(
            "metadata.name",
            Fault::new(
                "NotTheMeshConfig",
                format!(
                    "there is one MeshConfig, named `{}`; `{name}` has no effect",
                    mesh_config::NAME
                ),
                format!("rename it to `{}`", mesh_config::NAME),
            ),
        ),
        Some(_) => {}
    }
}

fn problem(kind: Kind, finding: Finding, report: &mut Report) {
    let Finding { path, fault } = finding;
    let name = path.rsplit('.').next().unwrap_or(&path).to_owned();
    match fault {
        check::Fault::Unknown { known } => match removed(kind, &path) {
            Some(remedy) => report.warn(
                path,
                Fault::new(
                    "RemovedField",
                    format!("`{name}` was removed from {kind} and has no effect"),
                    remedy,
                ),
            ),
            None => report.invalid(path, unknown(&name, &known)),
        },
        check::Fault::Missing => report.invalid(
            path,
            Fault::new("MissingField", format!("`{name}` is required"), "add it"),
        ),
        check::Fault::Type { expected, found } => {
            let remedy = match found.as_str() {
                "true" | "false" if expected == "a string" => {
                    "put the text in quotes: true, false, yes, no, on and off without quotes are truth values"
                        .to_owned()
                }
                number if expected == "a string" && number.parse::<f64>().is_ok() => {
                    format!("put it in quotes: \"{number}\"")
                }
                _ => format!("write {expected}"),
            };
            report.invalid(
                path,
                Fault::new(
                    "WrongType",
                    format!("must be {expected}, but is {found}"),
                    remedy,
                ),
            );
        }
        check::Fault::Choice { allowed, found } => {
            let remedy = match nearest(&found, &allowed) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("use one of {}", allowed.join(", ")),
            };
            report.invalid(
                path,
                Fault::new(
                    "UnknownValue",
                    format!("`{found}` is not a value of `{name}`"),
                    remedy,
                ),
            );
        }
        check::Fault::Bound(bound) => {
            let remedy = match &bound {
                Bound::Minimum(_) | Bound::TooLarge => "use a number within the bound",
                Bound::Maximum(_) => "use a smaller number",
                Bound::AtLeast(..) => "add what is missing, or leave the field out",
                Bound::AtMost(..) => "shorten it",
                Bound::Pattern(_) => "remove the other characters",
            };
            report.invalid(
                path,
                Fault::new("OutOfBounds", format!("`{name}` {bound}"), remedy),
            );
        }
    }
}

fn unknown(name: &str, known: &[String]) -> Fault {
    let remedy = match nearest(name, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("remove it, or use one of {}", known.join(", ")),
    };
    Fault::new(
        "UnknownField",
        format!("there is no field `{name}` here"),
        remedy,
    )
}

/// What to do about a field that was removed.
fn removed(kind: Kind, path: &str) -> Option<&'static str> {
    let pattern: String = {
        let mut depth = 0_u32;
        path.chars()
            .filter(|c| {
                match c {
                    '[' => depth += 1,
                    ']' => {
                        depth = depth.saturating_sub(1);
                        return false;
                    }
                    _ => {}
                }
                depth == 0
            })
            .collect()
    };
    REMOVED
        .iter()
        .find(|(other, field, _)| *other == kind && *field == pattern)
        .map(|(.., remedy)| *remedy)
}

/// The one of `known` that `name` most probably means.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '-'], "");
    let wanted = plain(name);
    known
        .iter()
        .map(|candidate| (distance(&wanted, &plain(candidate)), candidate.as_str()))
        .filter(|(distance, candidate)| *distance <= 2 && *distance < candidate.len().div_ceil(2))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance with transpositions of neighbours as one edit, cut off for long names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().max(b.len()) > 64 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&row, j) + usize::from(x != y))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}
