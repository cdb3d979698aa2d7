//! `docs/policy.md`: which field of which kind is enforced, and what the use of each other does.
//!
//! Written from the two lists that translation itself works by, so the page cannot promise more.

use std::fmt::Write as _;

use weft_crds::kind::Kind;
use weft_translate::enforced::ENFORCED;
use weft_translate::not_yet_enforced::{Effect, NOT_YET_ENFORCED};

const HEAD: &str = "\
<!-- Generated from the lists in crates/translate by `cargo xtask gen`; do not edit. -->

# Policy

The kinds that Weft reads, and for each field whether it is enforced. In a path `[]` is any item of a list and `{}` any key
of a map. Meanings, defaults and validation are those of the kinds' own documentation; the schemas are in `crds/yaml`.

A field that is not enforced yet is never skipped in silence: its use is a problem on the object, and what it does meanwhile is
in the table. Nothing that is not enforced widens access.
";

/// The text of the page.
pub(crate) fn page() -> Result<String, std::fmt::Error> {
    let mut page = HEAD.to_owned();
    for kind in Kind::ALL {
        write!(page, "\n## {}\n\n", kind.name())?;
        writeln!(
            page,
            "`{}`, versions {}.",
            kind.group(),
            list(kind.versions())
        )?;
        let enforced = ENFORCED
            .iter()
            .find(|(of, _)| *of == kind)
            .map(|(_, fields)| *fields);
        match enforced {
            Some(fields) => {
                page.push_str("\nEnforced:\n\n");
                for field in fields {
                    writeln!(page, "- `{field}`")?;
                }
            }
            None => page.push_str("\nNo field is enforced yet.\n"),
        }
        let mut rows = NOT_YET_ENFORCED
            .iter()
            .filter(|entry| entry.kind == kind)
            .peekable();
        if rows.peek().is_some() {
            page.push_str(
                "\n| not enforced yet | its use meanwhile | what to do |\n|---|---|---|\n",
            );
        }
        for entry in rows {
            let field = match entry.value() {
                Some(value) => format!("{}: {value}", entry.path()),
                None => entry.path().to_owned(),
            };
            writeln!(
                page,
                "| `{field}` | {} | {} |",
                effect(entry.effect),
                entry.remedy
            )?;
        }
    }
    Ok(page)
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Ignored => "has no effect; the rest of the object applies",
        Effect::NeverMatches => "the match that has it never matches",
        Effect::HoldsObject => "holds the object: what was in force before stays",
        Effect::StrictestMode => "the workload takes the strictest mode that the object names",
        Effect::RefusesAll => "every request to what the object selects is refused",
    }
}

fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
