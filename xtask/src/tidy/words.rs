//! Words that do not belong into the tree: notes to oneself, places of one machine, and the
//! history of how the project was made. What is missing stands in docs/features.md.

use super::repo::{Finding, Repo};

/// Written in two halves, so that this file passes its own rule.
const FORBIDDEN: &[(&str, &str)] = &[
    (
        concat!("TO", "DO"),
        "a note to oneself: what is missing stands in docs/features.md",
    ),
    (
        concat!("FIX", "ME"),
        "a note to oneself: mend it or say why not",
    ),
    (concat!("XX", "X"), "a note to oneself"),
    (concat!("../", "shared"), "a path outside the tree"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (
        concat!("issue ", "#"),
        "the tree explains itself without a tracker",
    ),
    (
        concat!("seed ", "document"),
        "the tree explains itself alone",
    ),
];

/// Files that are not ours to word.
const EXEMPT: &[&str] = &["LICENSE", "Cargo.lock"];

/// Finds the words, and line ends that are not the tree's.
pub(super) fn check(repo: &Repo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in repo
        .files
        .iter()
        .filter(|file| !EXEMPT.contains(&file.path.as_str()))
    {
        for (index, line) in file.text.split('\n').enumerate() {
            for (word, why) in FORBIDDEN
                .iter()
                .filter(|(word, _)| contains_word(line, word))
            {
                findings.push(Finding::at(&file.path, index + 1, format!("{word}: {why}")));
            }
            if line.ends_with('\r') {
                findings.push(Finding::at(
                    &file.path,
                    index + 1,
                    "ends with a carriage return",
                ));
                break;
            }
        }
    }
    findings
}

/// Whether the word stands there by itself where it begins or ends with a letter.
fn contains_word(line: &str, word: &str) -> bool {
    let bare = word.chars().all(char::is_alphabetic);
    line.match_indices(word).any(|(at, _)| {
        let joins = |c: char| c.is_alphanumeric() || c == '_';
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + word.len()..)
            .and_then(|text| text.chars().next());
        !bare || (!before.is_some_and(joins) && !after.is_some_and(joins))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_text(text: &str, breaches: usize) {
        let found = check(&Repo::of(&[("proxy/src/a.rs", text)]));
        assert_eq!(found.len(), breaches, "{text:?}: {found:?}");
    }

    #[test]
    fn every_forbidden_word_is_found() {
        for (word, _) in FORBIDDEN {
            check_text(&format!("// see {word} here"), 1);
        }
    }

    #[test]
    fn parts_of_words_and_other_files_pass() {
        check_text(concat!("let a = MASTO", "DON;"), 0);
        let text = concat!("TO", "DO");
        assert_eq!(check(&Repo::of(&[("Cargo.lock", text)])), []);
    }

    #[test]
    fn carriage_returns_are_found() {
        check_text("a\r\nb\r\n", 1);
        check_text("a\nb\n", 0);
    }
}
