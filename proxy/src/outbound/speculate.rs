//! A connection of undeclared protocol on which nobody speaks: it is dialled on as opaque bytes, and whoever speaks first
//! decides.
//!
//! The server first: it is a server-first protocol (MySQL, SMTP), and the connection is the right one. The client first: its
//! bytes are looked at as usual, and the speculative connection is dropped unless they are opaque. Known failure: an HTTP
//! client that is silent for 50 ms opens a connection to the application for nothing.

use super::{Conn, Stream, tcp};
use crate::{
    detect::{self, First, Look},
    route::Destination,
};
use bytes::BytesMut;
use std::{io, pin::pin};

/// Who spoke.
pub(super) enum Spoke {
    /// The client: its first bytes, and the connection that was dialled meanwhile, if they are opaque.
    Client(First, Option<tcp::Open>),
    /// The server: the two are to be joined.
    Server(tcp::Open),
    /// The connection ended, or there was nowhere to dial.
    Nobody,
}

/// See the module.
pub(super) async fn whoever_speaks_first(
    conn: &Conn,
    client: &mut Stream,
    destination: &Destination,
) -> io::Result<Spoke> {
    let (mut heard, mut said) = (BytesMut::new(), BytesMut::new());
    let mut opening = pin!(tcp::open(conn, destination));
    let mut open = None;
    loop {
        tokio::select! {
            read = detect::read(client, &mut heard) => {
                if read? == 0 {
                    return Ok(Spoke::Nobody);
                }
                let first = detect::more(client, heard, Look::ForAll).await?;
                return Ok(Spoke::Client(first, open));
            }
            opened = &mut opening, if open.is_none() => match opened {
                Ok(opened) => open = Some(opened),
                Err(error) => {
                    tcp::note(&error);
                    return Ok(Spoke::Nobody);
                }
            },
            read = hear(&mut open, &mut said), if open.is_some() => {
                let spoke = match (read?, open) {
                    (0, _) | (_, None) => Spoke::Nobody,
                    (_, Some(open)) => Spoke::Server(open.heard(said.freeze())),
                };
                return Ok(spoke);
            }
            () = conn.drain.signaled() => return Ok(Spoke::Nobody),
        }
    }
}

/// Reads what the server says. Cancel safe: yes.
async fn hear(open: &mut Option<tcp::Open>, said: &mut BytesMut) -> io::Result<usize> {
    match open {
        Some(open) => detect::read(&mut open.server, said).await,
        None => std::future::pending().await,
    }
}
