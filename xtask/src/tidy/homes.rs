//! A limit, a default, a header, a metric or an annotation's name is written once.
//!
//! Two copies of a fact agree on the day they are written. The rule looks for copies over the
//! packages that ship: the same literal of a kind that two parts must agree on, and a constant of
//! the same name and value (of the same name alone where it says it is a default). Names of
//! environment variables are left out: each program names its own, and whoever starts it is held to
//! them by a test that reads them back.

use std::collections::BTreeMap;

use super::documented;
use super::repo::{File, Finding, Kind, Repo};

/// Names of things that are not facts of ours: our own programs, crates and groups.
const OWN_NAMES: &[&str] = &[
    "weft-proxy",
    "weft-controller",
    "weft-init",
    "weft-shop",
    "weft-cli",
    "weft-system",
];

/// Finds facts with more than one home.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut literals = Facts::default();
    let mut constants = Facts::default();
    for (file, source) in repo
        .sources()
        .filter(|(file, _)| file.kind == Kind::Product)
    {
        for literal in source.literals() {
            if let Some(what) = shared_word(&literal.text) {
                let fact = match what {
                    "metric" => documented::base(&literal.text),
                    _ => literal.text.clone(),
                };
                literals.add(&format!("the {what} {fact:?}"), file, literal.line);
            }
        }
        let raw: Vec<&str> = file.text.lines().collect();
        for (number, line) in source.lines() {
            if let Some(name) = constant(line) {
                let fact = if name.starts_with("DEFAULT_") {
                    format!("the constant {name}")
                } else {
                    format!("the constant {name} = {}", value(&raw, number))
                };
                constants.add(&fact, file, number);
            }
        }
    }
    literals.breaches().chain(constants.breaches()).collect()
}

/// Where each fact was seen.
#[derive(Default)]
struct Facts(BTreeMap<String, Vec<(String, String, usize)>>);

impl Facts {
    fn add(&mut self, fact: &str, file: &File, line: usize) {
        self.0.entry(fact.to_owned()).or_default().push((
            file.package().to_owned(),
            file.path.clone(),
            line,
        ));
    }

    /// One finding for each fact seen in more than one package.
    fn breaches(self) -> impl Iterator<Item = Finding> {
        self.0.into_iter().filter_map(|(fact, places)| {
            let (package, path, line) = places.first()?;
            let (_, other, other_line) = places.iter().find(|(other, _, _)| other != package)?;
            Some(Finding::at(
                path,
                *line,
                format!("{fact} has a second home at {other}:{other_line}"),
            ))
        })
    }
}

/// What kind of shared fact a literal is, if any.
fn shared_word(text: &str) -> Option<&'static str> {
    let plain = |extra: &str| {
        text.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || extra.contains(c))
    };
    if OWN_NAMES.contains(&text) {
        return None;
    }
    // `weft_proxy` and its like are crates, as log filters name them.
    let family = text.starts_with("weft_") && text.matches('_').count() >= 2;
    if (text.starts_with("istio_") || family) && plain("_") {
        return Some("metric");
    }
    if text.starts_with("weft.dev/") && text.len() > "weft.dev/v1".len() && plain("./-") {
        return Some("annotation");
    }
    let protocol = text.starts_with("weft-") && text.contains('/');
    if (text.starts_with("x-") || text.starts_with("weft-")) && plain("-/") {
        return Some(if protocol { "protocol" } else { "header" });
    }
    matches!(
        text,
        "traceparent" | "tracestate" | "b3" | "grpc-status" | "grpc-timeout"
    )
    .then_some("header")
}

/// The name of a constant declared on this line of blanked code.
fn constant(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    if let Some(after) = rest.strip_prefix("pub") {
        rest = after.trim_start();
        if let Some((_, after)) = rest
            .strip_prefix('(')
            .and_then(|scope| scope.split_once(')'))
        {
            rest = after.trim_start();
        }
    }
    let (name, _) = rest.strip_prefix("const ")?.split_once(':')?;
    let named = name.len() > 1
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    named.then_some(name)
}

/// The text after `=` of the constant at a line, to its semicolon, spaces collapsed.
fn value(lines: &[&str], number: usize) -> String {
    let text: Vec<&str> = lines
        .iter()
        .skip(number.saturating_sub(1))
        .take(20)
        .copied()
        .collect();
    let joined = text.join(" ");
    let after = joined.split_once('=').map_or("", |(_, after)| after);
    let value = after.split(';').next().unwrap_or_default();
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_pair(one: &str, two: &str, breaches: usize) {
        let repo = Repo::of(&[("proxy/src/a.rs", one), ("control-plane/src/b.rs", two)]);
        let found = check(&repo);
        assert_eq!(found.len(), breaches, "{found:?}");
    }

    #[test]
    fn a_shared_literal_in_two_packages_is_found() {
        check_pair("f(\"x-weft-code\");", "g(\"x-weft-code\");", 1);
        check_pair(
            "f(\"istio_requests_total\");",
            "g(\"istio_requests_total\");",
            1,
        );
        check_pair("f(\"istio_requests\");", "g(\"istio_requests_total\");", 1);
        check_pair("f(\"weft-h2/1\");", "g(\"weft-h2/1\");", 1);
        check_pair("f(\"weft.dev/inject\");", "g(\"weft.dev/inject\");", 1);
    }

    #[test]
    fn other_words_may_repeat() {
        check_pair("f(\"weft-proxy\");", "g(\"weft-proxy\");", 0);
        check_pair("f(\"hello\");", "g(\"hello\");", 0);
        check_pair("f(\"weft_proxy\");", "g(\"weft_proxy\");", 0);
    }

    #[test]
    fn within_a_package_and_in_tests_repetition_is_free() {
        let repo = Repo::of(&[
            ("proxy/src/a.rs", "f(\"x-a\");"),
            ("proxy/src/b.rs", "f(\"x-a\");"),
        ]);
        assert_eq!(check(&repo), []);
        check_pair(
            "f(\"x-a\");",
            "#[cfg(test)]\nmod tests { fn f() { g(\"x-a\"); } }",
            0,
        );
    }

    #[test]
    fn a_constant_with_two_homes_is_found() {
        check_pair(
            "pub const MAX_BODY_BYTES: usize = 64 * 1024;",
            "const MAX_BODY_BYTES: usize =\n    64 * 1024;",
            1,
        );
        check_pair(
            "const MAX_BODY_BYTES: usize = 1;",
            "const MAX_BODY_BYTES: usize = 2;",
            0,
        );
        check_pair(
            "const DEFAULT_PORT: u16 = 1;",
            "pub(crate) const DEFAULT_PORT: u16 = 2;",
            1,
        );
    }
}
