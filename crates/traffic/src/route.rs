//! Which rule a request falls under: the first that matches, in the order written.

use crate::{matching, request::Request};
use std::fmt;
use weft_model::{
    matching::{HttpMatch, Matches},
    route::{HttpRoute, OutboundPolicy},
};

/// The rule that covers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteChoice<'p> {
    /// Its place in [`OutboundPolicy::http`].
    pub index: usize,
    /// The rule.
    pub route: &'p HttpRoute,
    /// Place of the block that held, in the rule's list; none for a rule that applies always.
    pub block: Option<usize>,
}

/// The first rule of `policy` that covers `request`. None: the reply is 404 with flag NR, there is no fallback.
#[must_use]
pub fn route<'p>(policy: &'p OutboundPolicy, request: &Request<'_>) -> Option<RouteChoice<'p>> {
    policy.http.iter().enumerate().find_map(|(index, route)| {
        covers(&route.matches, request).map(|covered| RouteChoice {
            index,
            route,
            block: match covered {
                Covered::Always => None,
                Covered::Block(block) => Some(block),
            },
        })
    })
}

/// How a rule covers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// It applies always.
    Always,
    /// This block of its list holds, the first that does.
    Block(usize),
}

/// Whether a rule's conditions cover `request`. An empty list of blocks covers nothing.
#[must_use]
pub fn covers(matches: &Matches<HttpMatch>, request: &Request<'_>) -> Option<Covered> {
    match matches {
        Matches::Any => Some(Covered::Always),
        Matches::OneOf(blocks) => blocks
            .iter()
            .position(|block| matching::holds(block, request))
            .map(Covered::Block),
    }
}

impl<'p> RouteChoice<'p> {
    /// The name that logs show: the rule's and the block's, as far as the user gave them.
    #[must_use]
    pub fn name(&self) -> Option<RouteName<'p>> {
        let block = match &self.route.matches {
            Matches::OneOf(blocks) => self.block.and_then(|index| blocks.get(index)),
            Matches::Any => None,
        };
        let route = self.route.name.as_deref();
        let block = block.and_then(|block| block.name.as_deref());
        (route.is_some() || block.is_some()).then_some(RouteName { route, block })
    }
}

/// A rule's name in logs: `route`, `route.match` or `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteName<'p> {
    route: Option<&'p str>,
    block: Option<&'p str>,
}

impl fmt::Display for RouteName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.route.unwrap_or_default())?;
        if self.route.is_some() && self.block.is_some() {
            f.write_str(".")?;
        }
        f.write_str(self.block.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests;
