//! Accepting a connection, whatever goes wrong with one.
//!
//! Place: every accept loop. An error of `accept(2)` is either of one connection (its peer hung up
//! meanwhile), which is skipped, or of the whole process (no descriptors left), which fails again at
//! once; neither may end a listener, and the second may not turn into a busy loop.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

/// Pause after an accept error that will not go away by itself.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The next connection of the listener that is called `what` in the log. Cancel safe: yes.
pub async fn accept(listener: &TcpListener, what: &'static str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if is_of_one_connection(&error) => {
                tracing::debug!(%error, listener = what, "a connection went before it was accepted");
            }
            Err(error) => {
                tracing::warn!(%error, listener = what, "cannot accept");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_are_accepted() {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let addr = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(addr), accept(&listener, "test"));
        assert_eq!(near.unwrap().local_addr().unwrap(), far.1);
    }

    #[test]
    fn errors_of_one_connection_need_no_pause() {
        assert!(is_of_one_connection(
            &io::ErrorKind::ConnectionAborted.into()
        ));
        assert!(
            !is_of_one_connection(&io::Error::from_raw_os_error(24)),
            "EMFILE"
        );
    }
}
