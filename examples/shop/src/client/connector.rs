//! Opens the connections of [`super::HttpClient`]: to the host of the URI, or to the proxy, in which
//! case it marks the connection so that hyper sends the absolute form.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::proxy::ProxyRules;

/// What goes wrong while connecting, as hyper's connector says it.
type ConnectError = <HttpConnector as Service<Uri>>::Error;

/// Connects where the rules say.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    tcp: HttpConnector,
    rules: ProxyRules,
}

impl Connector {
    pub(super) fn new(rules: ProxyRules) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        Self { tcp, rules }
    }
}

impl Service<Uri> for Connector {
    type Response = Wire;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Wire, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.tcp.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let proxy = target
            .authority()
            .and_then(|authority| self.rules.proxy_for(authority));
        let (address, proxied) = match proxy {
            Some(proxy) => (proxy.clone(), true),
            None => (target, false),
        };
        let connecting = self.tcp.call(address);
        Box::pin(async move {
            Ok(Wire {
                stream: connecting.await?,
                proxied,
            })
        })
    }
}

/// A connection that knows whether a proxy is at its other end.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TokioIo<TcpStream>,
    proxied: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxied)
    }
}

impl Read for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
