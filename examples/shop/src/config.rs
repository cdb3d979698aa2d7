//! What a service of the shop is told at its start: raw strings to one typed [`Config`], all errors
//! listed together. Nothing reads the environment later.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `PORT` | the port of the HTTP listener | 8080 |
//! | `GRPC_PORT` | the port of user-service's gRPC listener | 50051 |
//! | `BIND_ADDRESS` | the address of both | every address in Kubernetes, else 127.0.0.1 |
//! | `SHOP_VERSION` | what the process says its version is | v1 |
//! | `POD_NAME` | the name of this instance | in Kubernetes the pod's, else SERVICE-PORT |
//! | `DATA_DIR` | where a service that writes keeps its SQLite file | a folder of its own, deleted at exit |
//! | `DRAIN_SECONDS` | how long to go on accepting after SIGTERM | 0 |
//! | `CALL_TIMEOUT_MS` | the longest wait for another service | 10000 |
//! | `CHAOS_LATENCY_MS`, `CHAOS_ERROR_RATE` | the chaos knobs at start | 0 |
//! | `http_proxy`, `no_proxy` | as everywhere, upper case as well | no proxy |
//! | `ORDER_SERVICE_URL` and so on | where to reach a service instead of `http://order-service` | |
//! | `USER_SERVICE_SERVICE_HOST`, `USER_SERVICE_SERVICE_PORT_GRPC` | where to reach its gRPC; Kubernetes sets both | user-service:50051 |

pub mod env;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::Uri;
use http::uri::Authority;

use crate::chaos::Knobs;
use crate::client::proxy::{ProxyRules, ProxyRulesError};
use crate::service::Service;

const DEFAULT_PORT: u16 = 8080;
const DEFAULT_GRPC_PORT: u16 = 50051;
const DEFAULT_VERSION: &str = "v1";
/// Longer than a timeout that a route would set, so that the route's is the one that is seen.
const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// No drain: whoever knows of a delay between "this pod ends" and "nobody sends to it" sets one.
const DEFAULT_DRAIN: Duration = Duration::ZERO;
/// A longer drain would outlive what Kubernetes grants by default (30 s).
const MAX_DRAIN: Duration = Duration::from_secs(25);

/// Where settings come from: the environment, or a map in a test.
pub trait Strings {
    /// The value of a setting; an empty one counts as none.
    fn text(&self, key: &str) -> Option<String>;
}

impl<S: std::hash::BuildHasher> Strings for std::collections::HashMap<String, String, S> {
    fn text(&self, key: &str) -> Option<String> {
        self.get(key).filter(|value| !value.is_empty()).cloned()
    }
}

/// One setting that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text is not of the setting's kind.
    #[error("{key}={value:?} is not {expected}")]
    Malformed {
        /// The name of the setting.
        key: String,
        /// What it was set to.
        value: String,
        /// What it may be set to.
        expected: &'static str,
    },
    /// The proxy's settings do not parse.
    #[error(transparent)]
    Proxy(#[from] ProxyRulesError),
}

/// Everything that is wrong with the settings, not only the first of it.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// The addresses to listen on, in order of preference: the first that the machine has is taken.
pub type Candidates = Vec<SocketAddr>;

/// How one process of the shop runs. Fixed for its life; only the chaos knobs change later.
#[derive(Debug, Clone)]
pub struct Config {
    /// What it is.
    pub service: Service,
    /// What it says its version is.
    pub version: String,
    /// Its name among the replicas.
    pub instance: String,
    /// The HTTP listener.
    pub http: Candidates,
    /// The gRPC listener, used by user-service.
    pub grpc: Candidates,
    /// Where its SQLite file is, `None` for a folder that is deleted at exit.
    pub data_dir: Option<PathBuf>,
    /// How long it goes on accepting after it was asked to end.
    pub drain: Duration,
    /// The longest wait for another service.
    pub call_timeout: Duration,
    /// The chaos it begins with.
    pub chaos: Knobs,
    /// Which requests go through a proxy.
    pub proxy: ProxyRules,
    /// Where the others are.
    pub upstreams: Upstreams,
}

/// Where the other services are.
#[derive(Debug, Clone)]
pub struct Upstreams {
    bases: Vec<(Service, Uri)>,
    /// The address of user-service's gRPC.
    pub user_grpc: Authority,
}

impl Upstreams {
    /// The URI of a path of a service.
    pub(crate) fn uri(&self, service: Service, path: &str) -> Result<Uri, http::Error> {
        let base = self
            .bases
            .iter()
            .find(|(of, _)| *of == service)
            .map(|(_, base)| base);
        let authority = match base.and_then(Uri::authority) {
            Some(authority) => authority.as_str(),
            None => service.name(),
        };
        Uri::builder()
            .scheme("http")
            .authority(authority)
            .path_and_query(path)
            .build()
    }
}

impl Config {
    /// Reads the settings of `service`.
    ///
    /// # Errors
    /// All settings that are wrong.
    pub fn from_strings(service: Service, strings: &dyn Strings) -> Result<Self, ConfigErrors> {
        let mut read = Reader {
            strings,
            errors: Vec::new(),
        };
        let in_cluster = strings.text("KUBERNETES_SERVICE_HOST").is_some();
        let port = read.parsed("PORT", "a port", DEFAULT_PORT);
        let grpc_port = read.parsed("GRPC_PORT", "a port", DEFAULT_GRPC_PORT);
        let bind: Option<IpAddr> = read.optional("BIND_ADDRESS", "an IP address");
        let addresses: Vec<IpAddr> = match bind {
            Some(address) => vec![address],
            None if in_cluster => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
            None => vec![Ipv4Addr::LOCALHOST.into()],
        };
        let at = |port| {
            addresses
                .iter()
                .map(|address| SocketAddr::new(*address, port))
                .collect()
        };

        let latency = read.parsed("CHAOS_LATENCY_MS", Knobs::LATENCY_RULE, 0);
        let rate = read.parsed("CHAOS_ERROR_RATE", Knobs::RATE_RULE, 0.0);
        let chaos = Knobs {
            latency_ms: latency,
            error_rate: rate,
            ..Knobs::default()
        };
        if let Err(rule) = chaos.check() {
            read.malformed("CHAOS_*", &format!("{latency} ms, {rate}"), rule);
        }
        let drain = read.seconds(
            "DRAIN_SECONDS",
            "seconds, at most 25",
            DEFAULT_DRAIN,
            MAX_DRAIN,
        );
        let call_timeout = read
            .optional::<u64>("CALL_TIMEOUT_MS", "milliseconds")
            .map_or(DEFAULT_CALL_TIMEOUT, Duration::from_millis);

        let either = |lower: &str, upper: &str| strings.text(lower).or_else(|| strings.text(upper));
        let proxy = ProxyRules::parse(
            either("http_proxy", "HTTP_PROXY")
                .as_deref()
                .unwrap_or_default(),
            either("no_proxy", "NO_PROXY")
                .as_deref()
                .unwrap_or_default(),
        )
        .unwrap_or_else(|error| {
            read.errors.push(error.into());
            ProxyRules::default()
        });
        let upstreams = read.upstreams();

        let pod = strings
            .text("POD_NAME")
            .or_else(|| strings.text("HOSTNAME").filter(|_| in_cluster))
            .unwrap_or_else(|| format!("{service}-{port}"));
        let config = Self {
            service,
            version: strings
                .text("SHOP_VERSION")
                .unwrap_or_else(|| DEFAULT_VERSION.to_owned()),
            instance: pod,
            http: at(port),
            grpc: at(grpc_port),
            data_dir: strings.text("DATA_DIR").map(PathBuf::from),
            drain,
            call_timeout,
            chaos,
            proxy,
            upstreams,
        };
        for (key, value) in [
            ("SHOP_VERSION", &config.version),
            ("POD_NAME", &config.instance),
        ] {
            if http::HeaderValue::from_str(value).is_err() {
                read.malformed(key, value, "text that fits in a header");
            }
        }
        if read.errors.is_empty() {
            Ok(config)
        } else {
            Err(ConfigErrors(read.errors))
        }
    }
}

/// Reads settings and collects what is wrong with them.
struct Reader<'a> {
    strings: &'a dyn Strings,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn malformed(&mut self, key: &str, value: &str, expected: &'static str) {
        let (key, value) = (key.to_owned(), value.to_owned());
        self.errors.push(ConfigError::Malformed {
            key,
            value,
            expected,
        });
    }

    fn optional<T: FromStr>(&mut self, key: &str, expected: &'static str) -> Option<T> {
        let value = self.strings.text(key)?;
        let parsed = value.trim().parse().ok();
        if parsed.is_none() {
            self.malformed(key, &value, expected);
        }
        parsed
    }

    fn parsed<T: FromStr>(&mut self, key: &str, expected: &'static str, default: T) -> T {
        self.optional(key, expected).unwrap_or(default)
    }

    fn seconds(
        &mut self,
        key: &str,
        expected: &'static str,
        default: Duration,
        longest: Duration,
    ) -> Duration {
        let Some(seconds) = self.optional::<f64>(key, expected) else {
            return default;
        };
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if duration <= longest => duration,
            _ => {
                self.malformed(key, &seconds.to_string(), expected);
                default
            }
        }
    }

    fn upstreams(&mut self) -> Upstreams {
        let bases = Service::ALL
            .into_iter()
            .filter_map(|service| {
                let key = format!("{}_URL", variable(service));
                let base: Uri = self.optional(&key, "a URL of the form http://host:port")?;
                let plain = base.scheme_str() == Some("http") && base.path() == "/";
                if !plain {
                    self.malformed(
                        &key,
                        &base.to_string(),
                        "a URL of the form http://host:port",
                    );
                }
                plain.then_some((service, base))
            })
            .collect();
        let prefix = variable(Service::User);
        let host = self.strings.text(&format!("{prefix}_SERVICE_HOST"));
        let port = self.strings.text(&format!("{prefix}_SERVICE_PORT_GRPC"));
        let name = Authority::from_static("user-service:50051");
        let user_grpc = match (host, port) {
            (Some(host), Some(port)) => {
                // Kubernetes writes an IPv6 address here without brackets.
                let host = if host.contains(':') {
                    format!("[{host}]")
                } else {
                    host
                };
                let address = format!("{host}:{port}");
                address.parse().unwrap_or_else(|_| {
                    self.malformed(
                        &format!("{prefix}_SERVICE_HOST"),
                        &address,
                        "a host and a port",
                    );
                    name
                })
            }
            _ => name,
        };
        Upstreams { bases, user_grpc }
    }
}

/// The service's name as Kubernetes writes it in the names of variables.
fn variable(service: Service) -> String {
    service.name().to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests;
