//! From an endpoint to bytes on a socket: dial, handshake, pool, send.
//!
//! Place: after balance has chosen. Nothing here knows routes or policies; it is given an [`Upstream`] and a request.

mod copy;
mod form;
mod http;
mod io;
mod pool;
mod send;
mod tcp;
mod tls;
mod upgrade;
mod upstream;

pub use copy::{Way, copy_both};
pub use form::{authority, for_wire, response};
pub use http::{Http1, Stream};
pub use io::{OnSocket, Prefixed, Transport};
pub use pool::{Held, Pool};
pub use send::{Answer, Lease, Wire, send};
pub use tcp::{reset, tune};
pub(crate) use tls::connect;
pub use upgrade::{Upgrading, send_upgrade};
pub use upstream::{Role, Upstream};
