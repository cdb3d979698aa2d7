//! The one place that starts tasks.
//!
//! A task has a name, so that a panic in it can be told from another. The shop ends its tasks by
//! ending its runtime, after [`crate::server`] has waited for the requests in flight.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Runs `future` beside the caller.
#[expect(
    clippy::disallowed_methods,
    reason = "the shop is not part of the mesh and has no runtime crate: this is its own spawn"
)]
pub(crate) fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future.instrument(tracing::debug_span!("task", name)))
}
