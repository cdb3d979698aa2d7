//! Where a redirected connection was meant to go.

use socket2::SockRef;
use std::{io, net::SocketAddr};
use tokio::net::TcpStream;

/// The destination before redirection, as the kernel remembers it.
///
/// # Errors
/// When the kernel remembers none: the connection was not redirected.
pub fn original_destination(stream: &TcpStream) -> io::Result<SocketAddr> {
    let socket = SockRef::from(stream);
    let address = match stream.local_addr()? {
        SocketAddr::V4(_) => socket.original_dst_v4(),
        SocketAddr::V6(_) => socket.original_dst_v6(),
    }?;
    address
        .as_socket()
        .ok_or_else(|| io::Error::other("the original destination is no IP address"))
}
