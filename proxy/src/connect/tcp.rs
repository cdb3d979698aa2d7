//! Sockets: how every one of the data path is dialled and tuned.

use socket2::{SockRef, TcpKeepalive};
use std::{io, net::SocketAddr, time::Duration};
use tokio::net::TcpStream;

/// First keep-alive probe after this much silence, and between two of them: a peer that vanished without a word is
/// noticed well below common idle timeouts of NAT tables.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Data that nobody acknowledges for so long ends the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials `address`.
///
/// # Errors
/// What the kernel says.
pub(super) async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    tune(&stream);
    Ok(stream)
}

/// Sets what every socket of the data path has. No delay: with it, small messages wait 40 ms for an acknowledgement. A
/// socket that refuses an option serves all the same.
pub fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE);
    let _ = socket.set_tcp_keepalive(&keepalive);
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
}

/// Closes with a reset: what a client without the right to connect gets to see.
pub fn reset(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
    drop(stream);
}
