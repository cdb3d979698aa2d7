//! `docs/features.md` promises nothing that no test shows.
//!
//! Each row ends with the tests that show it, `path::test_name` between backticks, or with
//! `not yet`. A test that was renamed or removed makes its row a lie, and this rule says so.

use super::repo::{Finding, Repo};

const PAGE: &str = "docs/features.md";
const ABSENT: &str = "not yet";

/// Finds rows whose proof does not exist.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in repo.text(PAGE).unwrap_or_default().lines().enumerate() {
        let Some((id, proof)) = row(line) else {
            continue;
        };
        for problem in problems(repo, proof) {
            findings.push(Finding::at(PAGE, index + 1, format!("{id}: {problem}")));
        }
    }
    findings
}

/// The id and the last cell of a row of the table: the first cell is a letter and a number.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut cells = line
        .strip_prefix('|')?
        .trim_end()
        .strip_suffix('|')?
        .split('|')
        .map(str::trim);
    let id = cells.next()?;
    let (letter, number) = id.split_at_checked(1)?;
    let is_id = letter.chars().all(|c| c.is_ascii_uppercase()) && number.parse::<u16>().is_ok();
    is_id.then_some((id, cells.next_back()?))
}

fn problems(repo: &Repo, proof: &str) -> Vec<String> {
    let tests: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
    if tests.is_empty() {
        return if proof == ABSENT {
            Vec::new()
        } else {
            vec![format!("ends with neither a test nor `{ABSENT}`")]
        };
    }
    tests
        .into_iter()
        .filter_map(|test| missing(repo, test))
        .collect()
}

fn missing(repo: &Repo, test: &str) -> Option<String> {
    let Some((path, name)) = test.split_once("::") else {
        return Some(format!("{test} is not `path::test_name`"));
    };
    let Some(text) = repo.text(path) else {
        return Some(format!("there is no file {path}"));
    };
    (!text.contains(&format!("fn {name}("))).then(|| format!("{path} has no test {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_row(row: &str, breaches: usize) {
        let page = format!("| id | what | shown by |\n|---|---|---|\n{row}\n");
        let repo = Repo::of(&[
            (PAGE, &page),
            ("tests/e2e/a.rs", "#[test]\nfn splits_by_weight() {}\n"),
        ]);
        assert_eq!(check(&repo).len(), breaches, "{row}");
    }

    #[test]
    fn a_row_names_a_test_that_exists() {
        check_row("| T3 | weights | `tests/e2e/a.rs::splits_by_weight` |", 0);
        check_row("| T3 | weights | `tests/e2e/a.rs::gone` |", 1);
        check_row(
            "| T3 | weights | `tests/e2e/gone.rs::splits_by_weight` |",
            1,
        );
        check_row("| T3 | weights | `splits_by_weight` |", 1);
    }

    #[test]
    fn a_row_may_say_not_yet_and_nothing_else() {
        check_row("| T3 | weights | not yet |", 0);
        check_row("| T3 | weights | works |", 1);
    }
}
