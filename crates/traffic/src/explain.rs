//! Why a request goes where it goes, as a record: `weft explain` prints it, tests compare it.
//!
//! It is made by the functions that decide ([`route()`], [`matching::why_not`]), so it cannot disagree with a
//! proxy that has the same policy. It says what may happen, not what chance chose: backends come with their shares.

use crate::{
    matching,
    request::Request,
    route::{RouteChoice, route},
    split,
};
use serde::Serialize;
use std::fmt;
use weft_model::{
    host::Host,
    matching::{HttpMatch, Matches},
    route::{Backend, HttpRoute, OutboundPolicy, RouteAction, WeightedBackend},
    source::SourceRef,
};

/// What a policy does with a request, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The Service that was addressed.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The rules before the chosen one (or all, if none was), in order, each with its reasons.
    pub passed_over: Vec<PassedOver>,
    /// The rule that covers the request. None: 404, flag NR.
    pub chosen: Option<Chosen>,
    /// Rules after the chosen one: nobody asked them.
    pub not_reached: usize,
    /// Every object that took part in the policy.
    pub sources: Vec<SourceRef>,
}

/// The rule that covers a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chosen {
    /// Its place in the policy.
    pub index: usize,
    /// Its name and its block's in logs, as far as the user gave them.
    pub name: Option<String>,
    /// Place of the block that held; none: the rule applies always.
    pub block: Option<usize>,
    /// The rule's object. None: the default route of a Service without a VirtualService.
    pub source: Option<SourceRef>,
    /// Where it sends, in order.
    pub backends: Vec<Share>,
    /// Bound on the whole request, in milliseconds; none: no bound.
    pub timeout_ms: Option<u128>,
}

/// A backend and the share of requests that it gets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// The backend.
    pub backend: Backend,
    /// Of 100 requests.
    pub percent: f64,
}

/// A rule that does not cover a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Its place in the policy.
    pub index: usize,
    /// The user's name for it.
    pub name: Option<String>,
    /// The rule's object.
    pub source: Option<SourceRef>,
    /// Why each of its blocks does not hold, in order. Empty: all its blocks ask for something that is not enforced, so
    /// that it never applies.
    pub reasons: Vec<Reason>,
}

/// The first condition of a block that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Place of the block in the rule's list.
    pub block: usize,
    /// The user's name for it.
    pub name: Option<String>,
    /// What is not so, for example ``uri does not start with `/api` ``.
    pub unmet: String,
    /// What the request has there; none for an absent header.
    pub actual: Option<String>,
}

/// Explains what `policy` does with `request`.
#[must_use]
pub fn explain(policy: &OutboundPolicy, request: &Request<'_>) -> Explanation {
    let choice = route(policy, request);
    let passed = choice.map_or(policy.http.len(), |choice| choice.index);
    Explanation {
        host: policy.host.clone(),
        port: policy.port,
        passed_over: policy
            .http
            .iter()
            .enumerate()
            .take(passed)
            .map(|(index, route)| pass_over(index, route, request))
            .collect(),
        chosen: choice.map(choose),
        not_reached: policy.http.len().saturating_sub(passed + 1),
        sources: policy.sources.clone(),
    }
}

fn choose(choice: RouteChoice<'_>) -> Chosen {
    let RouteAction::Forward(backends) = &choice.route.action;
    Chosen {
        index: choice.index,
        name: choice.name().map(|name| name.to_string()),
        block: choice.block,
        source: choice.route.source.clone(),
        backends: shares(backends),
        timeout_ms: choice.route.timeout.map(|timeout| timeout.as_millis()),
    }
}

/// The backends with their parts of 100 requests.
#[must_use]
pub fn shares(backends: &[WeightedBackend]) -> Vec<Share> {
    let total = split::total(backends);
    let share = |backend: &WeightedBackend| Share {
        backend: backend.backend.clone(),
        // Exact in f64: weights are below 2^32, and there are fewer than 2^20 of them.
        percent: 100.0 * f64::from(backend.weight.get()) / total as f64,
    };
    backends.iter().map(share).collect()
}

fn pass_over(index: usize, route: &HttpRoute, request: &Request<'_>) -> PassedOver {
    let blocks: &[HttpMatch] = match &route.matches {
        Matches::OneOf(blocks) => blocks,
        Matches::Any => &[],
    };
    let reason = |(block, conditions): (usize, &HttpMatch)| {
        matching::why_not(conditions, request).map(|unmet| Reason {
            block,
            name: conditions.name.clone(),
            unmet: unmet.to_string(),
            actual: unmet.actual(request),
        })
    };
    PassedOver {
        index,
        name: route.name.clone(),
        source: route.source.clone(),
        reasons: blocks.iter().enumerate().filter_map(reason).collect(),
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}:{}", self.host, self.port)?;
        for rule in &self.passed_over {
            writeln!(f, "{rule}")?;
        }
        match &self.chosen {
            Some(chosen) => write!(f, "{chosen}"),
            None => f.write_str("  no rule matches: 404, flag NR"),
        }
    }
}

/// `rule <index> <name> of <object>`, as far as there is something to say.
fn write_rule(
    f: &mut fmt::Formatter<'_>,
    index: usize,
    name: Option<&str>,
    source: Option<&SourceRef>,
) -> fmt::Result {
    write!(f, "  rule {index}")?;
    if let Some(name) = name {
        write!(f, " `{name}`")?;
    }
    match source {
        Some(source) => write!(f, " of {source}"),
        None => Ok(()),
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_rule(f, self.index, self.name.as_deref(), self.source.as_ref())?;
        if self.reasons.is_empty() {
            return f.write_str(": never applies, what it asks for is not enforced");
        }
        f.write_str(": does not match")?;
        for reason in &self.reasons {
            write!(f, "\n    {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "match {}", self.block)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, ": {}", self.unmet)?;
        match &self.actual {
            Some(actual) => write!(f, " (it is `{actual}`)"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_rule(f, self.index, self.name.as_deref(), self.source.as_ref())?;
        f.write_str(": matches")?;
        if let Some(block) = self.block {
            write!(f, " by match {block}")?;
        }
        for share in &self.backends {
            write!(f, "\n    {:.1} % ", share.percent)?;
            match &share.backend {
                Backend::Cluster(cluster) => write!(f, "to {cluster}")?,
                Backend::Invalid(reason) => write!(f, "are answered 503: {reason}")?,
            }
        }
        match self.timeout_ms {
            Some(timeout) => write!(f, "\n    timeout {timeout} ms"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;
    use http::{HeaderMap, HeaderValue, Method, Uri};
    use std::time::Duration;
    use weft_model::{
        matching::{HeaderMatch, HeaderValueMatch, StringMatch, UriMatch},
        source::ObjectRef,
    };

    fn canary() -> OutboundPolicy {
        let source = SourceRef::whole(ObjectRef::new("VirtualService", "production", "shop"), 3);
        let beta = HttpMatch {
            name: Some("beta".to_owned()),
            headers: vec![HeaderMatch {
                name: "user-type".to_owned(),
                value: HeaderValueMatch::Value(StringMatch::Exact("beta".to_owned())),
            }],
            ..HttpMatch::default()
        };
        let api = HttpMatch {
            uri: Some(UriMatch {
                path: StringMatch::Prefix("/api".to_owned()),
                ignore_case: false,
            }),
            ..HttpMatch::default()
        };
        let mut rules = vec![
            fixture::rule(Matches::OneOf(vec![beta])),
            fixture::rule(Matches::OneOf(Vec::new())),
            HttpRoute {
                name: Some("api".to_owned()),
                timeout: Some(Duration::from_millis(1500)),
                action: RouteAction::Forward(fixture::backends(&[90, 10])),
                ..fixture::rule(Matches::OneOf(vec![api]))
            },
            HttpRoute {
                action: RouteAction::Forward(vec![WeightedBackend {
                    backend: Backend::Invalid("subset `v3` does not exist".to_owned()),
                    weight: std::num::NonZeroU32::MIN,
                }]),
                ..fixture::catch_all()
            },
        ];
        for (index, rule) in (0..).zip(&mut rules) {
            rule.source = Some(source.at_rule(index));
        }
        OutboundPolicy {
            sources: vec![source],
            ..fixture::policy(rules)
        }
    }

    fn explained(policy: &OutboundPolicy, path: &'static str, user: Option<&str>) -> Explanation {
        let mut headers = HeaderMap::new();
        if let Some(user) = user {
            headers.insert("user-type", HeaderValue::from_str(user).unwrap());
        }
        explain(
            policy,
            &Request::new(&Method::GET, &Uri::from_static(path), &headers),
        )
    }

    fn check(policy: &OutboundPolicy, path: &'static str, user: Option<&str>, expected: &[&str]) {
        let text = explained(policy, path, user).to_string();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    const HEAD: &str = "shop.production.svc.cluster.local:80";

    #[test]
    fn the_text_names_rule_object_reason_and_shares() {
        let policy = canary();
        check(
            &policy,
            "/api/x",
            Some("beta"),
            &[
                HEAD,
                "  rule 0 `beta` of VirtualService production/shop[0]: matches by match 0",
                "    100.0 % to shop.production.svc.cluster.local:80#v0",
            ],
        );
        check(
            &policy,
            "/api/x",
            Some("normal"),
            &[
                HEAD,
                "  rule 0 of VirtualService production/shop[0]: does not match",
                "    match 0 `beta`: header user-type is not `beta` (it is `normal`)",
                "  rule 1 of VirtualService production/shop[1]: never applies, what it asks for is not enforced",
                "  rule 2 `api` of VirtualService production/shop[2]: matches by match 0",
                "    90.0 % to shop.production.svc.cluster.local:80#v0",
                "    10.0 % to shop.production.svc.cluster.local:80#v1",
                "    timeout 1500 ms",
            ],
        );
        check(
            &policy,
            "/",
            None,
            &[
                HEAD,
                "  rule 0 of VirtualService production/shop[0]: does not match",
                "    match 0 `beta`: header user-type is absent",
                "  rule 1 of VirtualService production/shop[1]: never applies, what it asks for is not enforced",
                "  rule 2 `api` of VirtualService production/shop[2]: does not match",
                "    match 0: uri does not start with `/api` (it is `/`)",
                "  rule 3 of VirtualService production/shop[3]: matches",
                "    100.0 % are answered 503: subset `v3` does not exist",
            ],
        );
    }

    #[test]
    fn without_a_match_it_says_404() {
        let policy = fixture::policy(Vec::new());
        check(
            &policy,
            "/",
            None,
            &[HEAD, "  no rule matches: 404, flag NR"],
        );
    }

    #[test]
    fn the_record_has_what_the_text_has() {
        let explanation = explained(&canary(), "/api", None);
        let json = serde_json::to_value(&explanation).unwrap();
        assert_eq!(json["chosen"]["index"], 2);
        assert_eq!(json["chosen"]["backends"][1]["percent"], 10.0);
        assert_eq!(json["chosen"]["timeout_ms"], 1500);
        assert_eq!(json["chosen"]["source"]["rule"], 2);
        assert_eq!(json["not_reached"], 1);
        let reason = &json["passed_over"][0]["reasons"][0];
        assert_eq!(reason["unmet"], "header user-type is absent");
        assert_eq!(reason["actual"], serde_json::Value::Null);
        assert_eq!(
            json["passed_over"][1]["reasons"].as_array().unwrap().len(),
            0
        );
    }
}
