//! What a connection speaks: a bounded read of its first bytes, which are then read again.
//!
//! Place: after accept, where the port's declaration does not say it all. Bounds: [`limits::DETECT_MAX_BYTES`] of bytes,
//! [`limits::DETECT_SILENCE`] of silence before the first byte, after which the caller dials on and whoever speaks first
//! decides. A client that stops in the middle of what may become a request line gets [`PARTIAL_SILENCE`], then its bytes
//! pass as opaque where nothing is declared: a server may be waiting for just these.

mod hello;
mod sniff;

pub use hello::{Hello, hello};
pub use sniff::{Sniffed, may_be_tls, sniff};

use bytes::BytesMut;
use std::{io, time::Duration};
use tokio::io::{AsyncRead, AsyncReadExt};
use weft_model::limits;

/// How long an unfinished request line may rest before it counts as opaque bytes.
pub const PARTIAL_SILENCE: Duration = Duration::from_secs(1);
/// First size of the buffer: a ClientHello with ML-KEM is over 1 KiB, a request's head rarely.
const FIRST_BUFFER_BYTES: usize = 2048;

/// What the caller wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Everything.
    ForAll,
    /// Only whether it is TLS: the port is declared to carry opaque bytes, and a peer's sidecar may be the client.
    ForTls,
}

/// The first bytes and what they are.
#[derive(Debug)]
pub struct First {
    /// What was read; to be read again by whoever serves the connection.
    pub bytes: BytesMut,
    /// What it is.
    pub kind: Kind,
}

/// See [`First`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// HTTP/1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// TLS.
    Tls,
    /// Other bytes.
    Opaque,
    /// What may become a request line, and no more of it for [`PARTIAL_SILENCE`].
    Partial,
    /// Nothing came in time.
    Silent,
    /// The peer closed without a word.
    Closed,
}

/// Reads until `stream` can be told, for at most `silence` before the first byte.
///
/// Cancel safe: no, bytes that were read are lost.
///
/// # Errors
/// When the stream fails.
pub async fn first(
    stream: &mut (impl AsyncRead + Unpin),
    silence: Duration,
    look: Look,
) -> io::Result<First> {
    let mut bytes = BytesMut::new();
    match tokio::time::timeout(silence, read(stream, &mut bytes)).await {
        Err(_) => {
            return Ok(First {
                bytes,
                kind: Kind::Silent,
            });
        }
        Ok(Err(error)) => return Err(error),
        Ok(Ok(0)) => {
            return Ok(First {
                bytes,
                kind: Kind::Closed,
            });
        }
        Ok(Ok(_)) => {}
    }
    more(stream, bytes, look).await
}

/// As [`first`], with at least a byte in `bytes` already.
///
/// # Errors
/// When the stream fails.
pub async fn more(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: BytesMut,
    look: Look,
) -> io::Result<First> {
    loop {
        let sniffed = match (look, sniff(&bytes)) {
            (Look::ForTls, Sniffed::Http1 | Sniffed::Http2) => Sniffed::Opaque,
            (Look::ForTls, Sniffed::More) if !may_be_tls(&bytes) => Sniffed::Opaque,
            (_, sniffed) => sniffed,
        };
        let kind = match sniffed {
            Sniffed::Http1 => Kind::Http1,
            Sniffed::Http2 => Kind::Http2,
            Sniffed::Tls => Kind::Tls,
            Sniffed::Opaque => Kind::Opaque,
            Sniffed::More if bytes.len() >= limits::DETECT_MAX_BYTES => Kind::Opaque,
            Sniffed::More => {
                match tokio::time::timeout(PARTIAL_SILENCE, read(stream, &mut bytes)).await {
                    Err(_) => Kind::Partial,
                    Ok(Ok(0)) => Kind::Opaque,
                    Ok(Ok(_)) => continue,
                    Ok(Err(error)) => return Err(error),
                }
            }
        };
        return Ok(First { bytes, kind });
    }
}

/// Reads on until the ClientHello at the start of `bytes` is whole.
///
/// # Errors
/// When the stream fails or nothing comes for `silence`.
pub async fn whole_hello(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
    silence: Duration,
) -> io::Result<Hello> {
    loop {
        match hello(bytes) {
            Hello::More if bytes.len() >= limits::DETECT_MAX_BYTES => {
                return Ok(Hello::Application);
            }
            Hello::More => {}
            known => return Ok(known),
        }
        match tokio::time::timeout(silence, read(stream, bytes)).await {
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
}

/// Reads once into `bytes`. Cancel safe: yes.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut BytesMut,
) -> io::Result<usize> {
    bytes.reserve(FIRST_BUFFER_BYTES);
    stream.read_buf(bytes).await
}
