//! `cargo xtask tidy`: the house rules that no compiler checks.
//!
//! Each rule is a pure function from a [`repo::Repo`], which is a list of texts and packages, to
//! findings, so that each has a test beside it that breaks the rule and sees it fail. The rules
//! know the product's shape and never its behaviour.

mod confine;
mod documented;
mod edges;
mod features;
mod headers;
mod homes;
mod links;
mod manifests;
mod repo;
mod source;
mod words;

use std::process::ExitCode;

use anyhow::{Result, ensure};

use crate::config::Settings;

use self::repo::{Finding, Repo};

/// A rule: its name, and what it finds.
type Rule = (&'static str, fn(&Repo) -> Vec<Finding>);

const RULES: &[Rule] = &[
    ("edges", edges::check),
    ("manifests", manifests::check),
    ("confine", confine::check),
    ("headers", headers::check),
    ("homes", homes::check),
    ("documented", documented::check),
    ("features", features::check),
    ("links", links::check),
    ("words", words::check),
];

/// Runs every rule and the comparison of generated files.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode> {
    let rules = crate::stage::run("tidy", || stage(settings));
    let fresh = crate::stage::run("generated files", || crate::generate::check(settings));
    Ok(if rules && fresh {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs every rule; an error counts the findings, which are printed.
pub(crate) fn stage(settings: &Settings) -> Result<()> {
    let repo = Repo::load(settings)?;
    let mut count = 0_usize;
    for (rule, check) in RULES {
        for finding in check(&repo) {
            println!("{finding} [{rule}]");
            count += 1;
        }
    }
    ensure!(count == 0, "{count} found");
    Ok(())
}
