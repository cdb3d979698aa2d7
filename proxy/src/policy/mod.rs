//! What is done with a request besides sending it on: bounds and refusals. What decides is `weft-traffic` and the control
//! plane; here is how a decision takes effect.

use crate::error::ProxyError;
use std::time::Duration;
use tokio::time::Instant;
use weft_model::{
    inbound::{InboundPolicy, MtlsMode, RefusalReason},
    route::HttpRoute,
};

/// Until when a request may run, and the bound that says so.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    /// The moment.
    pub at: Instant,
    /// The route's timeout.
    pub after: Duration,
}

/// The deadline of a request under `route` whose head was read at `received`.
#[must_use]
pub fn deadline(route: &HttpRoute, received: Instant) -> Option<Deadline> {
    let at = weft_traffic::timeout::deadline(route, received.into_std())?;
    Some(Deadline {
        at: Instant::from_std(at),
        after: route.timeout?,
    })
}

/// Whether an inbound connection may be there at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Admitted,
    /// Plaintext where mutual TLS is demanded: a reset.
    PlaintextRefused,
}

/// How the client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// Over mutual TLS.
    Mutual,
    /// As plain bytes, or by the application's own TLS.
    Plaintext,
}

/// What the workload's mTLS mode says to an arrival. Mutual TLS is admitted in every mode: peers learn of a change a
/// moment later than the proxy itself.
#[must_use]
pub fn admit(policy: &InboundPolicy, arrival: Arrival) -> Admission {
    match (policy.mtls, arrival) {
        (MtlsMode::Strict, Arrival::Plaintext) => Admission::PlaintextRefused,
        (MtlsMode::Strict | MtlsMode::Permissive | MtlsMode::Disable, _) => Admission::Admitted,
    }
}

/// Whether everything is refused.
///
/// # Errors
/// With the object that selects the workload and is not enforced.
pub fn refusal(policy: &InboundPolicy) -> Result<(), ProxyError> {
    let Some(refusal) = &policy.refuse else {
        return Ok(());
    };
    let source_ref = refusal.source.clone();
    Err(match refusal.reason {
        RefusalReason::AuthorizationNotEnforced => {
            ProxyError::AuthorizationNotEnforced { source_ref }
        }
        RefusalReason::RequestAuthenticationNotEnforced => {
            ProxyError::RequestAuthenticationNotEnforced { source_ref }
        }
    })
}
