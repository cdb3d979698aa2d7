//! Every metric has a row in `docs/metrics.md` and every error code a heading in
//! `docs/errors.md`; and neither page speaks of what is gone.

use std::collections::BTreeMap;

use super::repo::{Finding, Kind, Repo};

const METRICS: &str = "docs/metrics.md";
const ERRORS: &str = "docs/errors.md";

/// Prefixes of our metric families.
const FAMILIES: &[&str] = &["istio_", "weft_"];
/// Words with such a prefix that are no metric: the names of our crates, as log targets use them.
const CRATES: &[&str] = &[
    "weft_api",
    "weft_cli",
    "weft_controller",
    "weft_crds",
    "weft_identity",
    "weft_init",
    "weft_model",
    "weft_proxy",
    "weft_runtime",
    "weft_shop",
    "weft_testkit",
    "weft_traffic",
    "weft_translate",
];

/// Finds undocumented metrics and error codes, and documented ones that do not exist.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = compare(repo, METRICS, "metric", &metrics(repo), &metric_rows(repo));
    findings.extend(compare(
        repo,
        ERRORS,
        "error code",
        &codes(repo),
        &code_headings(repo),
    ));
    findings.extend(statuses(repo));
    findings
}

/// A name, and where it was first seen.
type Places = BTreeMap<String, (String, usize)>;

fn compare(
    repo: &Repo,
    page: &str,
    what: &str,
    code: &Places,
    documented: &Places,
) -> Vec<Finding> {
    if repo.text(page).is_none() {
        return if code.is_empty() {
            Vec::new()
        } else {
            vec![Finding::of(page, "is missing")]
        };
    }
    let mut findings = Vec::new();
    for (name, (path, line)) in code
        .iter()
        .filter(|(name, _)| !documented.contains_key(*name))
    {
        findings.push(Finding::at(
            path,
            *line,
            format!("{what} {name} is not in {page}"),
        ));
    }
    for (name, (path, line)) in documented
        .iter()
        .filter(|(name, _)| !code.contains_key(*name))
    {
        findings.push(Finding::at(
            path,
            *line,
            format!("{what} {name} is in no code"),
        ));
    }
    findings
}

/// Metric names in what ships. The metrics library appends `_total` to a counter's name itself and
/// makes a histogram's `_bucket`, so names are compared without them.
fn metrics(repo: &Repo) -> Places {
    let mut places = Places::new();
    for (file, source) in repo
        .sources()
        .filter(|(file, _)| file.kind == Kind::Product)
    {
        for literal in source.literals() {
            let text = literal.text.as_str();
            let family = FAMILIES.iter().any(|family| text.starts_with(family));
            let plain = text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            if family && plain && !CRATES.contains(&text) {
                places
                    .entry(base(text))
                    .or_insert_with(|| (file.path.clone(), literal.line));
            }
        }
    }
    places
}

/// A family's name, from the name of one of its series.
pub(super) fn base(metric: &str) -> String {
    let plain = ["_total", "_bucket"]
        .iter()
        .find_map(|ending| metric.strip_suffix(ending));
    plain.unwrap_or(metric).to_owned()
}

/// The first cell of each row of the metrics page, between backticks.
fn metric_rows(repo: &Repo) -> Places {
    let mut places = Places::new();
    for (index, line) in repo.text(METRICS).unwrap_or_default().lines().enumerate() {
        if let Some((name, _)) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once('`'))
        {
            places
                .entry(base(name))
                .or_insert_with(|| (METRICS.to_owned(), index + 1));
        }
    }
    places
}

/// The literals that follow `code:` in the proxy: its table of errors.
fn codes(repo: &Repo) -> Places {
    let mut places = Places::new();
    for (file, source) in repo
        .sources()
        .filter(|(file, _)| file.kind == Kind::Product && file.package() == "proxy")
    {
        let literals: Vec<_> = source.literals().collect();
        for (number, line) in source.lines() {
            for (start, _) in line.match_indices("code: \"") {
                let quote = start + "code: ".len();
                let whole_word = !line
                    .get(..start)
                    .unwrap_or_default()
                    .ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let literal = literals
                    .iter()
                    .find(|literal| literal.line == number && literal.column == quote);
                if let Some(literal) = literal.filter(|_| whole_word) {
                    places
                        .entry(literal.text.clone())
                        .or_insert_with(|| (file.path.clone(), number));
                }
            }
        }
    }
    places
}

/// Headings of the errors page that are a code between backticks.
fn code_headings(repo: &Repo) -> Places {
    let mut places = Places::new();
    for (index, line) in repo.text(ERRORS).unwrap_or_default().lines().enumerate() {
        let heading = line
            .strip_prefix('#')
            .map(|rest| rest.trim_start_matches('#').trim_start());
        if let Some((code, _)) =
            heading.and_then(|heading| heading.strip_prefix('`')?.split_once('`'))
        {
            places
                .entry(code.to_owned())
                .or_insert_with(|| (ERRORS.to_owned(), index + 1));
        }
    }
    places
}

/// The page's table has a row for each code, with the HTTP status that the code's own table says.
fn statuses(repo: &Repo) -> Vec<Finding> {
    let Some(page) = repo.text(ERRORS) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for (code, (path, line)) in codes(repo) {
        let table = repo
            .text(&path)
            .unwrap_or_default()
            .lines()
            .skip(line)
            .take(3);
        let status = table
            .filter_map(|line| line.trim().strip_prefix("status: "))
            .next();
        let Some(status) = status.map(|status| status.trim_end_matches(',')) else {
            continue;
        };
        let row = format!("| {code} | {status} |");
        if !page.lines().any(|line| line.starts_with(&row)) {
            findings.push(Finding::of(
                ERRORS,
                format!("has no row that begins with `{row}`"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_files(files: &[(&str, &str)], breaches: usize) {
        let found = check(&Repo::of(files));
        assert_eq!(found.len(), breaches, "{found:?}");
    }

    #[test]
    fn a_metric_needs_a_row() {
        let code = (
            "proxy/src/observe/metrics.rs",
            "registry.register(\"istio_requests\", \"help\", x);",
        );
        check_files(
            &[code, (METRICS, "| `istio_requests_total` | counter |")],
            0,
        );
        check_files(&[code, (METRICS, "| name |")], 1);
        check_files(&[code], 1);
    }

    #[test]
    fn a_row_needs_a_metric() {
        check_files(&[(METRICS, "| `weft_gone_total` | counter |")], 1);
    }

    #[test]
    fn a_crates_name_is_no_metric() {
        check_files(
            &[("cli/src/a.rs", "filter(\"weft_proxy\");"), (METRICS, "")],
            0,
        );
    }

    #[test]
    fn an_error_code_needs_a_heading() {
        let code = (
            "proxy/src/respond.rs",
            "Row { code: \"no-route\", status: 404 }",
        );
        check_files(&[code, (ERRORS, "## `no-route`\n\ntext")], 0);
        check_files(&[code, (ERRORS, "# Errors")], 1);
        check_files(&[(ERRORS, "## `gone`")], 1);
    }

    #[test]
    fn a_codes_status_is_the_tables() {
        let code = (
            "proxy/src/respond.rs",
            "Row {\n    code: \"no-route\",\n    status: 404,\n}",
        );
        check_files(
            &[code, (ERRORS, "| no-route | 404 | NR |\n## `no-route`\n")],
            0,
        );
        check_files(
            &[code, (ERRORS, "| no-route | 503 | NR |\n## `no-route`\n")],
            1,
        );
    }

    #[test]
    fn other_fields_are_no_codes() {
        check_files(
            &[
                ("proxy/src/respond.rs", "Row { grpc_code: \"x\" }"),
                (ERRORS, ""),
            ],
            0,
        );
    }
}
