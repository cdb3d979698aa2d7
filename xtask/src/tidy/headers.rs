//! Every Rust file says what it is for; a long one says why it is not two.

use super::repo::{Finding, Repo};

/// Lines beyond which a file must give its reason.
const LONG: usize = 400;
/// The line that gives it.
const REASON: &str = "//! Long because: ";

/// Finds files without a header, and long ones without a reason.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in repo.sources() {
        let header: Vec<&str> = file
            .text
            .lines()
            .take_while(|line| line.starts_with("//!"))
            .collect();
        if !header
            .iter()
            .any(|line| line.trim_start_matches("//!").trim().len() > 3)
        {
            findings.push(Finding::of(
                &file.path,
                "begins without a `//!` header: purpose, place in the flow, invariants",
            ));
        }
        let lines = file.text.lines().count();
        let reason = header.iter().any(|line| {
            line.strip_prefix(REASON)
                .is_some_and(|why| !why.trim().is_empty())
        });
        if lines > LONG && !reason {
            findings.push(Finding::of(
                &file.path,
                format!("has {lines} lines and no `{REASON}...` in its header"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, breaches: usize) {
        assert_eq!(
            check(&Repo::of(&[("proxy/src/a.rs", text)])).len(),
            breaches
        );
    }

    #[test]
    fn a_header_is_asked_for() {
        check_text("//! Reads a request.\nfn f() {}\n", 0);
        check_text("fn f() {}\n", 1);
        check_text("//! \nfn f() {}\n", 1);
        check_text("// Copyright\n//! Reads a request.\n", 1);
    }

    #[test]
    fn a_long_file_gives_its_reason() {
        let body = "fn f() {}\n".repeat(LONG);
        check_text(&format!("//! Reads a request.\n{body}"), 1);
        check_text(
            &format!("//! Reads a request.\n//! Long because: one table.\n{body}"),
            0,
        );
        check_text(
            &format!("//! Reads a request.\n//! Long because: \n{body}"),
            1,
        );
    }

    #[test]
    fn other_files_need_none() {
        assert_eq!(check(&Repo::of(&[("docs/a.md", "text")])), []);
    }
}
