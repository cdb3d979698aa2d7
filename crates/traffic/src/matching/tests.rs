//! Every condition with what it admits and what it refuses, through one check.
//!
//! Long because: it is one table of cases, and a reader looks for a case in one place.

use super::*;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use proptest::prelude::*;
use weft_model::pattern::Pattern;

fn exact(text: &str) -> StringMatch {
    StringMatch::Exact(text.to_owned())
}

fn prefix(text: &str) -> StringMatch {
    StringMatch::Prefix(text.to_owned())
}

fn regex(text: &str) -> StringMatch {
    StringMatch::Regex(Pattern::parse(text).unwrap())
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

fn any_case(path: StringMatch) -> HttpMatch {
    HttpMatch {
        uri: Some(UriMatch {
            path,
            ignore_case: true,
        }),
        ..HttpMatch::default()
    }
}

fn method(method: StringMatch) -> HttpMatch {
    HttpMatch {
        method: Some(method),
        ..HttpMatch::default()
    }
}

fn authority(authority: StringMatch) -> HttpMatch {
    HttpMatch {
        authority: Some(authority),
        ..HttpMatch::default()
    }
}

fn header(name: &str, value: StringMatch) -> HttpMatch {
    headers(&[(name, HeaderValueMatch::Value(value))])
}

fn present(name: &str) -> HttpMatch {
    headers(&[(name, HeaderValueMatch::Present)])
}

fn headers(conditions: &[(&str, HeaderValueMatch)]) -> HttpMatch {
    HttpMatch {
        headers: conditions
            .iter()
            .map(|(name, value)| HeaderMatch {
                name: (*name).to_owned(),
                value: value.clone(),
            })
            .collect(),
        ..HttpMatch::default()
    }
}

/// Whether `block` holds for the request `METHOD target [name: value]...`; if `unmet` is given, it fails with that.
fn check(request: &str, block: &HttpMatch, unmet: Option<&str>) {
    let mut parts = request.split(" | ");
    let (verb, target) = parts.next().unwrap().split_once(' ').unwrap();
    let mut map = HeaderMap::new();
    for line in parts {
        let (name, value) = line.split_once(':').unwrap();
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value.trim_start().as_bytes()).unwrap(),
        );
    }
    let verb: Method = verb.parse().unwrap();
    let target: Uri = target.parse().unwrap();
    let request_view = Request::new(&verb, &target, &map);
    let found = why_not(block, &request_view).map(|unmet| unmet.to_string());
    assert_eq!(found.as_deref(), unmet, "{request} against {block:?}");
    assert_eq!(holds(block, &request_view), unmet.is_none());
}

#[test]
fn a_block_without_conditions_holds_for_everything() {
    let empty = HttpMatch::default();
    check("GET /", &empty, None);
    check("CONNECT shop:443", &empty, None);
    check("OPTIONS *", &empty, None);
    check("PURGE http://shop/a?b | x: y", &empty, None);
    let named = HttpMatch {
        name: Some("named".to_owned()),
        ..HttpMatch::default()
    };
    check("GET /", &named, None);
}

#[test]
fn paths() {
    check("GET /a", &uri(exact("/a")), None);
    check("GET /a?b=c", &uri(exact("/a")), None);
    check("GET /a?", &uri(exact("/a")), None);
    check("GET http://shop/a", &uri(exact("/a")), None);
    check("GET http://shop", &uri(exact("/")), None);
    check("OPTIONS *", &uri(exact("*")), None);
    check("GET /a/", &uri(exact("/a")), Some("uri is not `/a`"));
    check("GET /ab", &uri(exact("/a")), Some("uri is not `/a`"));
    check("GET /A", &uri(exact("/a")), Some("uri is not `/a`"));
    check("GET /%61", &uri(exact("/a")), Some("uri is not `/a`"));
    check("CONNECT shop:443", &uri(exact("/")), Some("uri is not `/`"));

    check("GET /foo", &uri(prefix("/foo")), None);
    check("GET /foo/bar", &uri(prefix("/foo")), None);
    check("GET /foobar", &uri(prefix("/foo")), None);
    check("GET /foo?x", &uri(prefix("/foo")), None);
    check("GET /foo", &uri(prefix("/")), None);
    check("GET /foo", &uri(prefix("")), None);
    let not_below = Some("uri does not start with `/foo/`");
    check("GET /foo", &uri(prefix("/foo/")), not_below);
    check("GET /bar/foo/", &uri(prefix("/foo/")), not_below);
    check("GET /?/foo/", &uri(prefix("/foo/")), not_below);
    check("GET /FOO/", &uri(prefix("/foo/")), not_below);

    check("GET /item/12", &uri(regex("/item/[0-9]+")), None);
    check("GET /item/12?q", &uri(regex("/item/[0-9]+")), None);
    check("GET /a", &uri(regex(".*")), None);
    check("GET /x.png", &uri(regex(r".*\.(png|jpg)")), None);
    check("GET /ab", &uri(regex("/a|/ab")), None);
    let no_item = Some("uri does not match the regular expression `/item/[0-9]+`");
    check("GET /item/12/x", &uri(regex("/item/[0-9]+")), no_item);
    check("GET /v1/item/12", &uri(regex("/item/[0-9]+")), no_item);
    check("GET /item/", &uri(regex("/item/[0-9]+")), no_item);
}

#[test]
fn paths_ignoring_case() {
    check("GET /Api/USERS", &any_case(exact("/api/users")), None);
    check("GET /api", &any_case(exact("/API")), None);
    check("GET /API/users", &any_case(prefix("/api/")), None);
    check("GET /aP", &any_case(prefix("/Ap")), None);
    check("GET /x", &any_case(prefix("")), None);
    let not_exact = Some("uri is not `/api` (ignoring case)");
    check("GET /apis", &any_case(exact("/api")), not_exact);
    let not_prefix = Some("uri does not start with `/api` (ignoring case)");
    check("GET /ap", &any_case(prefix("/api")), not_prefix);
    check("GET /x/api", &any_case(prefix("/api")), not_prefix);
    // ASCII only, also where a multi-byte character straddles the prefix.
    check("GET /é", &any_case(prefix("/é")), None);
    let not_e = Some("uri does not start with `/É` (ignoring case)");
    check("GET /é", &any_case(prefix("/É")), not_e);
    check(
        "GET /aé",
        &any_case(prefix("/Ab")),
        Some("uri does not start with `/Ab` (ignoring case)"),
    );
    // A regular expression says itself whether case counts.
    let sensitive = Some("uri does not match the regular expression `/api`");
    check("GET /API", &any_case(regex("/api")), sensitive);
    check("GET /API", &any_case(regex("(?i)/api")), None);
}

#[test]
fn methods() {
    check("GET /", &method(exact("GET")), None);
    check("PURGE /", &method(exact("PURGE")), None);
    check("POST /", &method(exact("GET")), Some("method is not `GET`"));
    check("get /", &method(exact("GET")), Some("method is not `GET`"));
    check("GET /", &method(exact("get")), Some("method is not `get`"));
    check("POST /", &method(prefix("P")), None);
    check(
        "GET /",
        &method(prefix("P")),
        Some("method does not start with `P`"),
    );
    check("PUT /", &method(regex("PUT|POST")), None);
    let neither = Some("method does not match the regular expression `PUT|POST`");
    check("POSTX /", &method(regex("PUT|POST")), neither);
    check("HEAD /", &method(regex("PUT|POST")), neither);
}

#[test]
fn authorities() {
    check("GET / | host: shop", &authority(exact("shop")), None);
    check(
        "GET / | host: shop:8080",
        &authority(exact("shop:8080")),
        None,
    );
    check(
        "GET http://shop:80/ | host: other",
        &authority(exact("shop:80")),
        None,
    );
    let not_shop = Some("authority is not `shop`");
    check("GET / | host: shop:80", &authority(exact("shop")), not_shop);
    check("GET / | host: Shop", &authority(exact("shop")), not_shop);
    check(
        "GET / | host: shop.production",
        &authority(exact("shop")),
        not_shop,
    );
    check("GET /", &authority(exact("shop")), not_shop);
    check("GET /", &authority(exact("")), None);
    check(
        "GET / | host: shop.production:80",
        &authority(prefix("shop.")),
        None,
    );
    let not_start = Some("authority does not start with `shop.`");
    check(
        "GET / | host: a.shop.b",
        &authority(prefix("shop.")),
        not_start,
    );
    check(
        "GET / | host: a.shop:1",
        &authority(regex(r".*\.shop(:\d+)?")),
        None,
    );
    check(
        "GET / | host: a.shop",
        &authority(regex(r".*\.shop(:\d+)?")),
        None,
    );
    let not_regex = Some(r"authority does not match the regular expression `.*\.shop(:\d+)?`");
    check(
        "GET / | host: a.shop:x",
        &authority(regex(r".*\.shop(:\d+)?")),
        not_regex,
    );
}

#[test]
fn header_values() {
    check(
        "GET / | user-type: beta",
        &header("user-type", exact("beta")),
        None,
    );
    check(
        "GET / | User-Type: beta",
        &header("user-type", exact("beta")),
        None,
    );
    check("GET / | x:", &header("x", exact("")), None);
    let not_beta = Some("header user-type is not `beta`");
    check(
        "GET / | user-type: Beta",
        &header("user-type", exact("beta")),
        not_beta,
    );
    check(
        "GET / | user-type: beta2",
        &header("user-type", exact("beta")),
        not_beta,
    );
    check(
        "GET / | user-type:",
        &header("user-type", exact("beta")),
        not_beta,
    );
    let absent = Some("header user-type is absent");
    check("GET /", &header("user-type", exact("beta")), absent);
    check("GET /", &header("user-type", exact("")), absent);
    check("GET /", &header("user-type", prefix("")), absent);
    check("GET /", &header("user-type", regex(".*")), absent);
    check(
        "GET / | user-typ: beta",
        &header("user-type", exact("beta")),
        absent,
    );

    check("GET / | x: abc", &header("x", prefix("ab")), None);
    check("GET / | x: abc", &header("x", prefix("")), None);
    check(
        "GET / | x: abc",
        &header("x", prefix("bc")),
        Some("header x does not start with `bc`"),
    );
    check("GET / | x: v12", &header("x", regex("v[0-9]+")), None);
    check(
        "GET / | x: v12b",
        &header("x", regex("v[0-9]+")),
        Some("header x does not match the regular expression `v[0-9]+`"),
    );
    check("GET / | x: BETA", &header("x", regex("(?i)beta")), None);
    check("GET / | x: é", &header("x", regex("..")), None);
}

#[test]
fn header_presence() {
    check("GET / | x: y", &present("x"), None);
    check("GET / | x:", &present("x"), None);
    check("GET / | x: y | x: z", &present("x"), None);
    check("GET / | z: y", &present("x"), Some("header x is absent"));
    check("GET /", &present("x"), Some("header x is absent"));
}

#[test]
fn headers_sent_several_times_are_one_value() {
    check("GET / | x: a | x: b", &header("x", exact("a,b")), None);
    check(
        "GET / | x: a | y: c | x: b",
        &header("x", exact("a,b")),
        None,
    );
    check(
        "GET / | x: a | x: b",
        &header("x", exact("a")),
        Some("header x is not `a`"),
    );
    check(
        "GET / | x: a | x: b",
        &header("x", exact("b")),
        Some("header x is not `b`"),
    );
    check("GET / | x: a | x: b", &header("x", prefix("a,")), None);
    check("GET / | x: a | x: b", &header("x", regex(".*b")), None);
    let crumbs = header("cookie", regex(r"(.*; )?user=beta(;.*)?"));
    check("GET / | cookie: a=1 | cookie: user=beta", &crumbs, None);
    check("GET / | cookie: a=1; user=beta; c=2", &crumbs, None);
}

#[test]
fn the_host_header_is_the_authority() {
    check(
        "GET http://shop:80/",
        &header("host", exact("shop:80")),
        None,
    );
    check("GET / | host: shop", &header("host", exact("shop")), None);
    check(
        "GET http://shop/ | host: other",
        &header("host", exact("shop")),
        None,
    );
    check("GET /", &present("host"), Some("header host is absent"));
}

#[test]
fn all_conditions_must_hold_and_the_first_that_does_not_is_named() {
    let all = HttpMatch {
        uri: uri(prefix("/api")).uri,
        method: Some(exact("POST")),
        authority: Some(exact("shop")),
        headers: headers(&[
            ("a", HeaderValueMatch::Value(exact("1"))),
            ("b", HeaderValueMatch::Present),
        ])
        .headers,
        ..HttpMatch::default()
    };
    check("POST /api/x | host: shop | a: 1 | b: 2", &all, None);
    check(
        "GET / | host: other",
        &all,
        Some("uri does not start with `/api`"),
    );
    check("GET /api | host: other", &all, Some("method is not `POST`"));
    check(
        "POST /api | host: other",
        &all,
        Some("authority is not `shop`"),
    );
    check("POST /api | host: shop", &all, Some("header a is absent"));
    check(
        "POST /api | host: shop | a: 2",
        &all,
        Some("header a is not `1`"),
    );
    check(
        "POST /api | host: shop | a: 1",
        &all,
        Some("header b is absent"),
    );
    let twice = headers(&[
        ("a", HeaderValueMatch::Value(prefix("1"))),
        ("a", HeaderValueMatch::Value(regex(".*2"))),
    ]);
    check("GET / | a: 12", &twice, None);
    check(
        "GET / | a: 13",
        &twice,
        Some("header a does not match the regular expression `.*2`"),
    );
}

#[test]
fn the_actual_value_is_told() {
    let mut map = HeaderMap::new();
    map.insert("x", HeaderValue::from_bytes(b"a\xff").unwrap());
    let target = Uri::from_static("http://shop:80/path?query");
    let request = Request::new(&Method::GET, &target, &map);
    let actual = |block: &HttpMatch| why_not(block, &request).unwrap().actual(&request);
    assert_eq!(actual(&uri(exact("/"))).unwrap(), "/path");
    assert_eq!(actual(&method(exact("POST"))).unwrap(), "GET");
    assert_eq!(actual(&authority(exact("shop"))).unwrap(), "shop:80");
    assert_eq!(actual(&header("x", exact("a"))).unwrap(), "a\u{fffd}");
    assert_eq!(actual(&present("y")), None);
}

proptest! {
    /// A regular expression made of a literal means equality with it, never more.
    #[test]
    fn a_literal_expression_is_equality(literal in "[a-c/]{0,5}", value in "[a-c/]{0,5}") {
        let condition = regex(&literal);
        prop_assert_eq!(text_holds(&condition, value.as_bytes()), literal == value);
    }

    /// Alternation binds weaker than the whole match.
    #[test]
    fn an_alternation_covers_whole_values(words in prop::collection::vec("[ab]{1,3}", 1..4), value in "[ab]{0,4}") {
        let condition = regex(&words.join("|"));
        prop_assert_eq!(text_holds(&condition, value.as_bytes()), words.contains(&value));
    }

    /// Ignoring case is the same as lower-casing both sides.
    #[test]
    fn ignoring_case_is_comparing_lower_case(pattern in "[a-dA-D/]{0,4}", path in "/[a-dA-D/]{0,5}") {
        let lower = path.to_ascii_lowercase();
        let of = |path: StringMatch| UriMatch { path, ignore_case: true };
        prop_assert_eq!(
            uri_holds(&of(exact(&pattern)), &path),
            lower == pattern.to_ascii_lowercase()
        );
        prop_assert_eq!(
            uri_holds(&of(prefix(&pattern)), &path),
            lower.starts_with(&pattern.to_ascii_lowercase())
        );
    }
}
