//! The application of the end-to-end tests: an HTTP server (h1 and h2c) that says who it is and what it saw, a TCP echo,
//! and a server that speaks first. One process, configured by flags and by the ports that the supervisor gives it.
//!
//! `GET /?delay=ms&status=code&bytes=n` shapes the reply; every reply is JSON with name, path, protocol and headers, unless
//! `bytes` asks for that many bytes. `POST` replies with the body's length and repeats the body with `?echo`.

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::{convert::Infallible, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

#[derive(Clone)]
struct Settings {
    name: String,
    delay: Duration,
}

fn query(request: &Request<Incoming>, key: &str) -> Option<String> {
    request
        .uri()
        .query()?
        .split('&')
        .find_map(|pair| match pair.split_once('=') {
            Some((name, value)) if name == key => Some(value.to_owned()),
            None if pair == key => Some(String::new()),
            _ => None,
        })
}

type Reply = Response<BoxBody<bytes::Bytes, hyper::Error>>;

fn full(bytes: impl Into<bytes::Bytes>) -> BoxBody<bytes::Bytes, hyper::Error> {
    Full::new(bytes.into())
        .map_err(|never: Infallible| match never {})
        .boxed()
}

async fn reply(request: Request<Incoming>, settings: Settings) -> Result<Reply, Infallible> {
    let number = |key: &str| query(&request, key).and_then(|text| text.parse::<u64>().ok());
    let delay = number("delay").map_or(settings.delay, Duration::from_millis);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let status = number("status")
        .and_then(|code| u16::try_from(code).ok())
        .unwrap_or(200);
    let bytes = number("bytes").and_then(|count| usize::try_from(count).ok());
    let echo = query(&request, "echo").is_some();
    let headers: serde_json::Map<String, serde_json::Value> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes())
                    .into_owned()
                    .into(),
            )
        })
        .collect();
    let mut saw = serde_json::json!({
        "name": settings.name,
        "method": request.method().as_str(),
        "path": request.uri().path(),
        "authority": request.uri().authority().map(ToString::to_string),
        "version": format!("{:?}", request.version()),
        "headers": headers,
    });
    let body = if echo {
        request.into_body().boxed()
    } else {
        let sent = request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        saw["body_bytes"] = sent.map_or(0, |sent| sent.len()).into();
        match bytes {
            Some(count) => full(vec![b'x'; count]),
            None => full(saw.to_string()),
        }
    };
    let response = Response::builder()
        .status(status)
        .header("x-backend", &settings.name)
        .body(body)
        .unwrap_or_default();
    Ok(response)
}

async fn serve_http(listener: TcpListener, settings: Settings) {
    while let Ok((stream, _)) = listener.accept().await {
        let settings = settings.clone();
        let _ = stream.set_nodelay(true);
        weft_runtime::task::spawn("backend", async move {
            let service = service_fn(move |request| reply(request, settings.clone()));
            let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn serve_bytes(listener: TcpListener, banner: &'static [u8]) {
    while let Ok((mut stream, _)) = listener.accept().await {
        weft_runtime::task::spawn("bytes", async move {
            let _ = stream.write_all(banner).await;
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                if stream
                    .write_all(buffer.get(..count).unwrap_or_default())
                    .await
                    .is_err()
                {
                    break;
                }
            }
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test program, configured as applications are"
)]
fn port(name: &str) -> Option<u16> {
    std::env::var(name).ok()?.parse().ok()
}

async fn listen(port: u16) -> std::io::Result<TcpListener> {
    TcpListener::bind(("127.0.0.1", port)).await
}

fn main() -> anyhow::Result<()> {
    let mut settings = Settings {
        name: "backend".to_owned(),
        delay: Duration::ZERO,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        match (flag.as_str(), arguments.next()) {
            ("--name", Some(name)) => settings.name = name,
            ("--delay-ms", Some(delay)) => settings.delay = Duration::from_millis(delay.parse()?),
            _ => anyhow::bail!("usage: weft-e2e-backend [--name NAME] [--delay-ms N]"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        if let Some(port) = port("PORT_TCP") {
            weft_runtime::task::spawn("echo", serve_bytes(listen(port).await?, b""));
        }
        if let Some(port) = port("PORT_BANNER") {
            weft_runtime::task::spawn("banner", serve_bytes(listen(port).await?, b"READY\n"));
        }
        serve_http(listen(port("PORT").unwrap_or(8080)).await?, settings).await;
        Ok(())
    })
}
