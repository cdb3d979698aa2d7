//! Listeners: an accepted connection, and what is known of where it goes. Nothing is read here.

mod listen;
mod original;
mod serve;

pub use listen::accept_each;
pub use original::original_destination;
pub use serve::{HEAD_MAX_BYTES, Limits, serve_h1, serve_h2};

use crate::config::InboundListener;
use weft_model::host::Host;

/// How an outbound listener learns where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acceptor {
    /// The standard HTTP proxy protocol: each request, or CONNECT, says.
    Explicit,
    /// A loopback listener that stands for one Service port.
    Service {
        /// Full name of the Service.
        host: Host,
        /// The Service's port.
        port: u16,
    },
    /// Redirected connections: the kernel knows their original destination.
    Redirect,
}

/// How an inbound listener learns which port a connection is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboundAcceptor {
    /// One listener, one port.
    Port(InboundListener),
    /// Redirected connections: the kernel knows their original destination, which is where the application listens.
    Redirect,
}
