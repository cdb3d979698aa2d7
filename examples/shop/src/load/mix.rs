//! The kinds of requests, and how often each is sent.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Lists the products.
    Browse,
    /// Places an order.
    Order,
    /// Opens the dashboard of a user.
    Dashboard,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Browse, Self::Order, Self::Dashboard];

    /// The name of the kind in a mix and in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Browse => "browse",
            Self::Order => "order",
            Self::Dashboard => "dashboard",
        }
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// Shares of the kinds; the shares are whole numbers of any sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix([u32; Kind::ALL.len()]);

/// A mix that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum MixError {
    /// A part is not `kind=share`.
    #[error("{0:?} is not of the form browse=6,order=3,dashboard=1")]
    Malformed(String),
    /// All shares are zero.
    #[error("a mix of nothing")]
    Empty,
}

impl Default for Mix {
    fn default() -> Self {
        Self([6, 3, 1])
    }
}

impl FromStr for Mix {
    type Err = MixError;

    fn from_str(text: &str) -> Result<Self, MixError> {
        let mut shares = [0; Kind::ALL.len()];
        for part in text.split(',') {
            let malformed = || MixError::Malformed(part.to_owned());
            let (name, share) = part.split_once('=').ok_or_else(malformed)?;
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.name() == name.trim());
            let slot = kind
                .and_then(|kind| shares.get_mut(kind.index()))
                .ok_or_else(malformed)?;
            *slot = share.trim().parse::<u16>().map_err(|_| malformed())?.into();
        }
        if shares.iter().all(|share| *share == 0) {
            return Err(MixError::Empty);
        }
        Ok(Self(shares))
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Kind::ALL
            .iter()
            .zip(self.0)
            .map(|(kind, share)| format!("{}={share}", kind.name()));
        f.write_str(&parts.collect::<Vec<_>>().join(","))
    }
}

impl Mix {
    /// Draws a kind.
    pub(super) fn draw(&self, rng: &mut fastrand::Rng) -> Kind {
        let mut ticket = rng.u32(0..self.0.iter().sum());
        for (kind, share) in Kind::ALL.into_iter().zip(self.0) {
            match ticket.checked_sub(share) {
                Some(rest) => ticket = rest,
                None => return kind,
            }
        }
        Kind::Browse
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<[u32; 3]>) {
        assert_eq!(text.parse::<Mix>().ok(), expected.map(Mix), "{text}");
    }

    #[test]
    fn parses() {
        check("browse=6,order=3,dashboard=1", Some([6, 3, 1]));
        check("order=1", Some([0, 1, 0]));
        check(" dashboard = 2 , browse = 1", Some([1, 0, 2]));
        check("", None);
        check("order", None);
        check("order=-1", None);
        check("order=0", None);
        check("steal=1", None);
        assert_eq!(
            Mix::default().to_string().parse::<Mix>().unwrap(),
            Mix::default()
        );
    }

    #[test]
    fn draws_by_share() {
        let mix = Mix::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[mix.draw(&mut rng).index()] += 1;
        }
        for (count, expected) in counts.into_iter().zip([6_000, 3_000, 1_000]) {
            assert!(count.abs_diff(expected) < 300, "{counts:?}");
        }
    }
}
