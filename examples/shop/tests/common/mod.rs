//! What the direct tests of the shop share: services on real sockets in this process, with direct
//! URLs instead of a mesh, and a client that looks at whole replies.
#![allow(dead_code, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a helper of tests fails like a test")]

use std::collections::HashMap;
use std::net::SocketAddr;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::task::JoinSet;
use weft_shop::config::Config;
use weft_shop::drain::{self, DrainHandle};
use weft_shop::server::Server;
use weft_shop::service::Service;

/// A reply, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A client over real sockets.
pub(crate) struct Http(Client<HttpConnector, Full<bytes::Bytes>>);

impl Http {
    pub(crate) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(bytes::Bytes::copy_from_slice(body.as_bytes())));
        let reply: Response<_> = self.0.request(request.unwrap()).await.unwrap();
        let (head, body) = reply.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Reply {
            status: head.status,
            headers: head.headers,
            json,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Reply {
        self.send(Method::GET, url, &[], "").await
    }

    pub(crate) async fn post(&self, url: &str, body: &Value) -> Reply {
        self.send(Method::POST, url, &[], &body.to_string()).await
    }
}

/// Services of the shop in this process. They stop when it is dropped.
pub(crate) struct Shop {
    pub(crate) http: Http,
    addresses: HashMap<&'static str, SocketAddr>,
    grpc: Option<SocketAddr>,
    handles: HashMap<&'static str, DrainHandle>,
    tasks: JoinSet<()>,
}

impl Shop {
    pub(crate) fn new() -> Self {
        Self {
            http: Http::new(),
            addresses: HashMap::new(),
            grpc: None,
            handles: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// All services, each told where those before it are.
    pub(crate) async fn whole() -> Self {
        let mut shop = Self::new();
        for service in Service::ALL {
            shop.start(service, &[]).await;
        }
        shop
    }

    /// Starts one service with further settings.
    pub(crate) async fn start(&mut self, service: Service, settings: &[(&str, &str)]) {
        let mut strings: HashMap<String, String> = HashMap::from([
            ("PORT".to_owned(), "0".to_owned()),
            ("GRPC_PORT".to_owned(), "0".to_owned()),
            ("POD_NAME".to_owned(), format!("{service}-0")),
        ]);
        for (name, address) in &self.addresses {
            let key = format!("{}_URL", name.to_uppercase().replace('-', "_"));
            strings.insert(key, format!("http://{address}"));
        }
        if let Some(grpc) = self.grpc {
            strings.insert(
                "USER_SERVICE_SERVICE_HOST".to_owned(),
                grpc.ip().to_string(),
            );
            strings.insert(
                "USER_SERVICE_SERVICE_PORT_GRPC".to_owned(),
                grpc.port().to_string(),
            );
        }
        for (key, value) in settings {
            strings.insert((*key).to_owned(), (*value).to_owned());
        }
        let config = Config::from_strings(service, &strings).unwrap();
        let (handle, watch) = drain::channel();
        let server = Server::bind(config, watch).await.unwrap();
        self.addresses
            .insert(service.name(), server.http_address().unwrap());
        self.grpc = server.grpc_address().or(self.grpc);
        self.handles.insert(service.name(), handle);
        self.tasks
            .spawn(async move { server.serve().await.unwrap() });
    }

    pub(crate) fn drain(&self, service: Service) -> &DrainHandle {
        &self.handles[service.name()]
    }

    /// Every service has ended by itself.
    pub(crate) async fn ended(mut self) {
        while let Some(result) = self.tasks.join_next().await {
            result.unwrap();
        }
    }

    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service.name()]
    }

    pub(crate) fn grpc_address(&self) -> SocketAddr {
        self.grpc.unwrap()
    }

    pub(crate) fn url(&self, service: Service, path: &str) -> String {
        format!("http://{}{path}", self.address(service))
    }
}
