//! The accept loop.

use crate::connect::tune;
use std::{net::SocketAddr, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use weft_runtime::drain::DrainWatch;

/// Pause after a failed accept: what fails (no file descriptors left) fails again at once.
const PAUSE: Duration = Duration::from_millis(50);

/// Hands every connection to `serve` until the drain begins.
pub async fn accept_each(
    listener: TcpListener,
    drain: &DrainWatch,
    mut serve: impl FnMut(TcpStream, SocketAddr),
) {
    loop {
        match drain.until_signaled(listener.accept()).await {
            None => return,
            Some(Ok((stream, client))) => {
                tune(&stream);
                serve(stream, client);
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _: Option<()> = drain.until_signaled(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
}
