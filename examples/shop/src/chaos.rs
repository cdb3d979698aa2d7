//! The chaos knobs: latency and errors that a service makes on purpose, so that the mesh has
//! something to help with. In effect at once; health and the knobs themselves are never touched.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

use crate::app::App;
use crate::extract::JsonBody;
use crate::fault::{Failure, Fault};

/// How a service misbehaves. JSON of `/chaos`, and the `CHAOS_*` variables at start.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Knobs {
    /// Added to every request, in milliseconds.
    pub latency_ms: u64,
    /// The share of requests that fail, 0 to 1, each drawn on its own.
    pub error_rate: f64,
    /// The status of a request that fails (of gRPC the code is INTERNAL).
    pub error_status: u16,
}

/// A change of the knobs. What it leaves out stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Turn {
    latency_ms: Option<u64>,
    error_rate: Option<f64>,
    error_status: Option<u16>,
}

impl Default for Knobs {
    fn default() -> Self {
        // 500 is what an application that breaks answers. A 503 would look like the mesh's own.
        Self {
            latency_ms: 0,
            error_rate: 0.0,
            error_status: 500,
        }
    }
}

impl Knobs {
    const MAX_LATENCY_MS: u64 = 60_000;
    pub(crate) const LATENCY_RULE: &'static str = "milliseconds, at most 60000";
    pub(crate) const RATE_RULE: &'static str = "a share from 0 to 1";
    const STATUS_RULE: &'static str = "a status from 500 to 599";

    /// The rule that the knobs break.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.latency_ms > Self::MAX_LATENCY_MS {
            Err(Self::LATENCY_RULE)
        } else if !(0.0..=1.0).contains(&self.error_rate) {
            Err(Self::RATE_RULE)
        } else if !(500..=599).contains(&self.error_status) {
            Err(Self::STATUS_RULE)
        } else {
            Ok(())
        }
    }

    fn turned(self, turn: &Turn) -> Self {
        Self {
            latency_ms: turn.latency_ms.unwrap_or(self.latency_ms),
            error_rate: turn.error_rate.unwrap_or(self.error_rate),
            error_status: turn.error_status.unwrap_or(self.error_status),
        }
    }
}

/// The knobs of this process.
#[derive(Debug)]
pub(crate) struct Chaos(Mutex<Knobs>);

impl Chaos {
    pub(crate) const fn new(knobs: Knobs) -> Self {
        Self(Mutex::new(knobs))
    }

    pub(crate) fn knobs(&self) -> Knobs {
        *self.0.lock()
    }

    /// Waits as long as the knobs say, then decides whether this request fails, and how.
    pub(crate) async fn strike(&self) -> Result<(), Fault> {
        let Knobs {
            latency_ms,
            error_rate,
            error_status,
        } = self.knobs();
        if latency_ms > 0 {
            tokio::time::sleep(Duration::from_millis(latency_ms)).await;
        }
        if error_rate > 0.0 && fastrand::f64() < error_rate {
            let status = StatusCode::from_u16(error_status);
            return Err(Fault::Chaos(
                status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ));
        }
        Ok(())
    }
}

/// Before every route of the service itself.
pub(crate) async fn layer(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    match app.chaos.strike().await {
        Ok(()) => next.run(request).await,
        Err(fault) => fault.into_response(),
    }
}

/// `GET /chaos`.
pub(crate) async fn show(State(app): State<Arc<App>>) -> Response {
    app.answer(StatusCode::OK, app.chaos.knobs())
}

/// `POST /chaos`.
pub(crate) async fn turn(
    State(app): State<Arc<App>>,
    JsonBody(turn): JsonBody<Turn>,
) -> Result<Response, Failure> {
    let knobs = app.chaos.knobs().turned(&turn);
    knobs
        .check()
        .map_err(|rule| Fault::Invalid(format!("chaos takes {rule}")))?;
    *app.chaos.0.lock() = knobs;
    tracing::info!(?knobs, "chaos");
    Ok(app.answer(StatusCode::OK, knobs))
}

/// `DELETE /chaos`.
pub(crate) async fn reset(State(app): State<Arc<App>>) -> Response {
    *app.chaos.0.lock() = Knobs::default();
    tracing::info!("chaos is over");
    app.answer(StatusCode::OK, Knobs::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(latency_ms: u64, error_rate: f64, error_status: u16, valid: bool) {
        let knobs = Knobs {
            latency_ms,
            error_rate,
            error_status,
        };
        assert_eq!(knobs.check().is_ok(), valid, "{knobs:?}");
    }

    #[test]
    fn knobs_have_limits() {
        check(0, 0.0, 500, true);
        check(60_000, 1.0, 599, true);
        check(60_001, 0.0, 500, false);
        check(0, 1.01, 500, false);
        check(0, -0.1, 500, false);
        check(0, f64::NAN, 500, false);
        check(0, 0.0, 499, false);
        check(0, 0.0, 600, false);
    }

    #[tokio::test(start_paused = true)]
    async fn latency_waits_and_errors_strike() {
        let began = tokio::time::Instant::now();
        let slow = Chaos::new(Knobs {
            latency_ms: 250,
            ..Knobs::default()
        });
        assert!(slow.strike().await.is_ok());
        assert_eq!(began.elapsed(), Duration::from_millis(250));
        let broken = Chaos::new(Knobs {
            error_rate: 1.0,
            error_status: 503,
            ..Knobs::default()
        });
        assert!(matches!(broken.strike().await, Err(Fault::Chaos(status)) if status == 503));
    }
}
