//! Rules that can never apply, since an earlier one takes what they ask for.

use crate::report::{Fault, Report};
use weft_model::{
    matching::{HttpMatch, Matches, StringMatch},
    policy::{HttpRule, RuleMatch},
};

/// Warns of rules after one that takes everything, and of blocks that an earlier rule has too.
pub(super) fn check(rules: &[HttpRule], report: &mut Report) {
    let catch_all = rules
        .iter()
        .position(|rule| takes_everything(&rule.matches));
    for (position, rule) in rules.iter().enumerate() {
        let path = format!("spec.http[{}]", rule.index);
        if let Some(first) = catch_all.filter(|first| *first < position) {
            let taker = rules.get(first).map_or(0, |rule| rule.index);
            report.warn(
                path,
                Fault::new(
                    "UnreachableRule",
                    format!("rule {taker} takes every request, so this one is never reached"),
                    "put it before that rule, or remove it",
                ),
            );
            continue;
        }
        let Matches::OneOf(blocks) = &rule.matches else {
            continue;
        };
        let earlier = rules.iter().take(position);
        let duplicate = earlier.filter_map(|other| match &other.matches {
            Matches::OneOf(others) if !blocks.is_empty() => blocks
                .iter()
                .all(|block| others.iter().any(|it| same(it, block)))
                .then_some(other.index),
            Matches::OneOf(_) | Matches::Any => None,
        });
        if let Some(other) = duplicate.into_iter().next() {
            report.warn(
                format!("{path}.match"),
                Fault::new(
                    "DuplicateMatch",
                    format!("rule {other} has the same match, so this one is never reached"),
                    "remove one of the two, or change its match",
                ),
            );
        }
    }
}

fn same(a: &RuleMatch, b: &RuleMatch) -> bool {
    let unnamed = |block: &RuleMatch| RuleMatch {
        request: HttpMatch {
            name: None,
            ..block.request.clone()
        },
        ..block.clone()
    };
    unnamed(a) == unnamed(b)
}

fn takes_everything(matches: &Matches<RuleMatch>) -> bool {
    match matches {
        Matches::Any => true,
        Matches::OneOf(blocks) => blocks.iter().any(|block| {
            let HttpMatch {
                name: _,
                uri,
                method,
                authority,
                headers,
            } = &block.request;
            let any_path = uri.as_ref().is_none_or(|uri| match &uri.path {
                StringMatch::Prefix(prefix) => matches!(prefix.as_str(), "" | "/"),
                StringMatch::Regex(regex) => regex.as_str() == ".*",
                StringMatch::Exact(_) => false,
            });
            any_path
                && method.is_none()
                && authority.is_none()
                && headers.is_empty()
                && block.port.is_none()
        }),
    }
}
