//! A link in a document leads to a file or folder of the tree.

use super::repo::{Finding, Repo};

/// Finds relative links that lead nowhere.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repo.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                let path = resolve(&file.path, target);
                let folder = format!("{path}/");
                if !repo
                    .files
                    .iter()
                    .any(|file| file.path == path || file.path.starts_with(&folder))
                {
                    findings.push(Finding::at(
                        &file.path,
                        index + 1,
                        format!("{target} leads nowhere"),
                    ));
                }
            }
        }
    }
    findings
}

/// The relative targets of a line's links, without their fragments.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or(target))
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

/// A target as seen from the root, seen from the document.
fn resolve(document: &str, target: &str) -> String {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_line(line: &str, breaches: usize) {
        let repo = Repo::of(&[
            ("docs/adr/1.md", line),
            ("docs/a.md", ""),
            ("README.md", ""),
        ]);
        let found = check(&repo);
        assert_eq!(found.len(), breaches, "{found:?}");
    }

    #[test]
    fn links_lead_somewhere() {
        check_line(
            "see [a](../a.md), [top](../../README.md#x), [folder](../adr) and [self](#y)",
            0,
        );
        check_line("see [a](a.md)", 1);
        check_line("[out](https://example.org/x) and f(x)", 0);
    }
}
