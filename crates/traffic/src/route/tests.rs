//! The order of rules, against a second implementation that shares no code with the first.
//!
//! The reference model is written from Istio's text, over plain strings, in the most naive way: it knows regular
//! expressions only as the few shapes that the generator makes, so it does not use the engine either.

use super::*;
use crate::{explain::explain, fixture};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;
use weft_model::{
    matching::{HeaderMatch, HeaderValueMatch, StringMatch, UriMatch},
    pattern::Pattern,
};

/// A condition on text, as the reference model knows it.
#[derive(Debug, Clone)]
enum Text {
    Exact(String),
    Prefix(String),
    /// Regex `<literal>.*`.
    Starts(String),
    /// Regex `.*<literal>`.
    Ends(String),
    /// Regex `<one>|<other>`.
    Either(String, String),
    /// Regex `[0-9]+`.
    Digits,
}

#[derive(Debug, Clone, Default)]
struct Block {
    uri: Option<(Text, bool)>,
    method: Option<Text>,
    authority: Option<Text>,
    /// None: presence.
    headers: Vec<(String, Option<Text>)>,
}

/// None: applies always.
type Rule = Option<Vec<Block>>;

#[derive(Debug, Clone)]
struct Sent {
    method: String,
    path: String,
    query: Option<String>,
    host: Option<String>,
    headers: Vec<(String, String)>,
}

// The reference model.

fn text_is(text: &Text, value: &str, ignore_case: bool) -> bool {
    let fold = |s: &str| {
        if ignore_case {
            s.to_lowercase()
        } else {
            s.to_owned()
        }
    };
    match text {
        Text::Exact(it) => fold(it) == fold(value),
        Text::Prefix(it) => fold(value).starts_with(&fold(it)),
        Text::Starts(it) => value.starts_with(it),
        Text::Ends(it) => value.ends_with(it),
        Text::Either(one, other) => value == one || value == other,
        Text::Digits => !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()),
    }
}

fn block_is(block: &Block, sent: &Sent) -> bool {
    let uri = match &block.uri {
        Some((text, ignore_case)) => text_is(text, &sent.path, *ignore_case),
        None => true,
    };
    let method = match &block.method {
        Some(text) => text_is(text, &sent.method, false),
        None => true,
    };
    let authority = match &block.authority {
        Some(text) => text_is(text, sent.host.as_deref().unwrap_or(""), false),
        None => true,
    };
    let mut all = uri && method && authority;
    for (name, text) in &block.headers {
        let values: Vec<&str> = sent
            .headers
            .iter()
            .filter(|(sent_name, _)| sent_name == name)
            .map(|(_, value)| value.as_str())
            .collect();
        let fine = match text {
            None => !values.is_empty(),
            Some(text) => !values.is_empty() && text_is(text, &values.join(","), false),
        };
        all = all && fine;
    }
    all
}

fn reference(rules: &[Rule], sent: &Sent) -> Option<(usize, Option<usize>)> {
    for (index, rule) in rules.iter().enumerate() {
        match rule {
            None => return Some((index, None)),
            Some(blocks) => {
                for (place, block) in blocks.iter().enumerate() {
                    if block_is(block, sent) {
                        return Some((index, Some(place)));
                    }
                }
            }
        }
    }
    None
}

// The same values for the code under test.

fn condition(text: &Text) -> StringMatch {
    let regex = |text: &str| StringMatch::Regex(Pattern::parse(text).unwrap());
    match text {
        Text::Exact(it) => StringMatch::Exact(it.clone()),
        Text::Prefix(it) => StringMatch::Prefix(it.clone()),
        Text::Starts(it) => regex(&format!("{it}.*")),
        Text::Ends(it) => regex(&format!(".*{it}")),
        Text::Either(one, other) => regex(&format!("{one}|{other}")),
        Text::Digits => regex("[0-9]+"),
    }
}

fn http_match(block: &Block) -> HttpMatch {
    HttpMatch {
        name: None,
        uri: block.uri.as_ref().map(|(text, ignore_case)| UriMatch {
            path: condition(text),
            ignore_case: *ignore_case,
        }),
        method: block.method.as_ref().map(condition),
        authority: block.authority.as_ref().map(condition),
        headers: block
            .headers
            .iter()
            .map(|(name, text)| HeaderMatch {
                name: name.clone(),
                value: match text {
                    None => HeaderValueMatch::Present,
                    Some(text) => HeaderValueMatch::Value(condition(text)),
                },
            })
            .collect(),
    }
}

fn policy(rules: &[Rule]) -> OutboundPolicy {
    let rule = |rule: &Rule| {
        fixture::rule(match rule {
            None => Matches::Any,
            Some(blocks) => Matches::OneOf(blocks.iter().map(http_match).collect()),
        })
    };
    fixture::policy(rules.iter().map(rule).collect())
}

/// Calls `with` with the request as a proxy sees it.
fn view<T>(sent: &Sent, with: impl FnOnce(&Request<'_>) -> T) -> T {
    let method: Method = sent.method.parse().unwrap();
    let target = match &sent.query {
        Some(query) => format!("{}?{query}", sent.path),
        None => sent.path.clone(),
    };
    let uri: Uri = target.parse().unwrap();
    let mut headers = HeaderMap::new();
    if let Some(host) = &sent.host {
        headers.insert("host", HeaderValue::from_str(host).unwrap());
    }
    for (name, value) in &sent.headers {
        headers.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    with(&Request::new(&method, &uri, &headers))
}

fn decided(policy: &OutboundPolicy, sent: &Sent) -> Option<(usize, Option<usize>)> {
    view(sent, |request| {
        route(policy, request).map(|choice| (choice.index, choice.block))
    })
}

// Generators: few values, so that conditions hold often enough.

fn text(value: &'static str) -> impl Strategy<Value = Text> {
    let word = move || proptest::string::string_regex(value).unwrap();
    prop_oneof![
        word().prop_map(Text::Exact),
        word().prop_map(Text::Prefix),
        word().prop_map(Text::Starts),
        word().prop_map(Text::Ends),
        (word(), word()).prop_map(|(one, other)| Text::Either(one, other)),
        Just(Text::Digits),
    ]
}

const PATH: &str = "/[aAb1]{0,2}";
const METHOD: &str = "GET|POST|PUT";
const HOST: &str = "shop|shop:80|s";
const VALUE: &str = "[a1]{0,2}";

fn block() -> impl Strategy<Value = Block> {
    let header = (
        prop_oneof![Just("x-a".to_owned()), Just("x-b".to_owned())],
        prop::option::of(text(VALUE)),
    );
    (
        prop::option::weighted(0.6, (text(PATH), any::<bool>())),
        prop::option::weighted(0.3, text(METHOD)),
        prop::option::weighted(0.2, text(HOST)),
        prop::collection::vec(header, 0..2),
    )
        .prop_map(|(uri, method, authority, headers)| Block {
            uri,
            method,
            authority,
            headers,
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        9 => prop::collection::vec(block(), 0..3).prop_map(Some),
        1 => Just(None),
    ]
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    prop::collection::vec(rule(), 0..5)
}

fn sent() -> impl Strategy<Value = Sent> {
    let header = (
        prop_oneof![Just("x-a".to_owned()), Just("x-b".to_owned())],
        VALUE,
    );
    (
        METHOD,
        PATH,
        prop::option::of("[a/]{0,2}"),
        prop::option::of(HOST),
        prop::collection::vec(header, 0..4),
    )
        .prop_map(|(method, path, query, host, headers)| Sent {
            method,
            path,
            query,
            host,
            headers,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn the_reference_model_decides_alike(rules in rules(), sent in sent()) {
        prop_assert_eq!(decided(&policy(&rules), &sent), reference(&rules, &sent));
    }
}

proptest! {
    /// What stands behind the rule that matches does not matter, and what stands before it and does not match neither.
    #[test]
    fn only_the_first_matching_rule_counts(rules in rules(), more in rules(), sent in sent()) {
        let all = policy(&rules);
        if let Some((index, block)) = decided(&all, &sent) {
            let longer: Vec<Rule> = rules.iter().chain(&more).cloned().collect();
            prop_assert_eq!(decided(&policy(&longer), &sent), Some((index, block)));
            let alone = rules.get(index..=index).unwrap();
            prop_assert_eq!(decided(&policy(alone), &sent), Some((0, block)));
        } else {
            for rule in &rules {
                prop_assert_eq!(decided(&policy(std::slice::from_ref(rule)), &sent), None);
            }
        }
    }

    /// The explanation chooses what the router chooses and has a reason for every block before it.
    #[test]
    fn explanation_and_decision_agree(rules in rules(), sent in sent()) {
        let policy = policy(&rules);
        let explanation = view(&sent, |request| explain(&policy, request));
        let chosen = explanation.chosen.as_ref().map(|chosen| (chosen.index, chosen.block));
        prop_assert_eq!(chosen, decided(&policy, &sent));
        let passed = chosen.map_or(rules.len(), |(index, _)| index);
        prop_assert_eq!(explanation.passed_over.len(), passed);
        for (rule, passed) in rules.iter().zip(&explanation.passed_over) {
            prop_assert_eq!(rule.as_ref().map(Vec::len), Some(passed.reasons.len()));
        }
        let reached = passed + usize::from(chosen.is_some());
        prop_assert_eq!(explanation.not_reached, rules.len() - reached);
    }
}

/// The generators must reach both sides, or the properties above prove nothing.
#[test]
fn random_cases_hit_and_miss() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut none, mut by_block, mut later) = (0, 0, 0);
    for _ in 0..2000 {
        let (rules, sent) = (rules(), sent()).new_tree(&mut runner).unwrap().current();
        match reference(&rules, &sent) {
            None => none += 1,
            Some((index, block)) => {
                by_block += u32::from(block.is_some());
                later += u32::from(index > 0);
            }
        }
    }
    assert!(
        none > 300 && by_block > 300 && later > 200,
        "{none} {by_block} {later}"
    );
}

fn uri(path: StringMatch) -> HttpMatch {
    HttpMatch {
        uri: Some(UriMatch {
            path,
            ignore_case: false,
        }),
        ..HttpMatch::default()
    }
}

#[test]
fn first_match_wins_and_no_match_is_none() {
    let exact = |path: &str| uri(StringMatch::Exact(path.to_owned()));
    let prefix = |path: &str| uri(StringMatch::Prefix(path.to_owned()));
    let one_of = |blocks: &[HttpMatch]| fixture::rule(Matches::OneOf(blocks.to_vec()));
    let check = |rules: &[HttpRoute], path: &'static str, expected| {
        let policy = fixture::policy(rules.to_vec());
        let headers = HeaderMap::new();
        let uri = Uri::from_static(path);
        let choice = route(&policy, &Request::new(&Method::GET, &uri, &headers));
        let found = choice.map(|choice| (choice.index, choice.block));
        assert_eq!(found, expected, "{path}");
        if let Some(choice) = choice {
            assert_eq!(Some(choice.route), policy.http.get(choice.index));
        }
    };
    let rules = [
        one_of(&[]),
        one_of(&[exact("/a"), prefix("/b")]),
        one_of(&[prefix("/a")]),
    ];
    check(&rules, "/a", Some((1, Some(0))));
    check(&rules, "/bc", Some((1, Some(1))));
    check(&rules, "/ab", Some((2, Some(0))));
    check(&rules, "/c", None);
    check(&[], "/a", None);
    check(&[one_of(&[])], "/a", None);
    check(&[one_of(&[HttpMatch::default()])], "/a", Some((0, Some(0))));
    let shadowed = [fixture::catch_all(), one_of(&[exact("/a")])];
    check(&shadowed, "/a", Some((0, None)));
}

#[test]
fn names_in_logs_join_rule_and_block() {
    let check = |route_name: Option<&str>, block_name: Option<&str>, expected: Option<&str>| {
        let block = HttpMatch {
            name: block_name.map(str::to_owned),
            ..HttpMatch::default()
        };
        let rule = HttpRoute {
            name: route_name.map(str::to_owned),
            ..fixture::rule(Matches::OneOf(vec![block]))
        };
        let policy = fixture::policy(vec![rule]);
        let headers = HeaderMap::new();
        let uri = Uri::from_static("/");
        let choice = route(&policy, &Request::new(&Method::GET, &uri, &headers)).unwrap();
        let name = choice.name().map(|name| name.to_string());
        assert_eq!(name.as_deref(), expected);
    };
    check(None, None, None);
    check(Some("a"), None, Some("a"));
    check(Some("a"), Some("b"), Some("a.b"));
    check(None, Some("b"), Some("b"));
}
