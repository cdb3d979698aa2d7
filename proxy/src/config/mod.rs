//! Start-up settings: addresses, files and sizes. What may change later comes from the control plane.

mod env;
pub mod keys;
mod parse;

pub use env::from_env;
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use weft_model::{host::Host, identity::TrustDomain, limits, workload::WorkloadName};
use weft_runtime::config::{ConfigErrors, Reader, Strings};

/// One port of the workload: where peers connect, which container port policy calls it, where the application listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundListener {
    /// Where the sidecar listens.
    pub listen: SocketAddr,
    /// The container port that the manifests declare.
    pub port: u16,
    /// Where the application listens.
    pub app: SocketAddr,
}

/// A loopback listener that stands for one Service port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceListener {
    /// Where the sidecar listens.
    pub listen: SocketAddr,
    /// Full name of the Service.
    pub host: Host,
    /// The Service's port.
    pub port: u16,
}

/// All start-up settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `WEFT_WORKLOAD`: the instance, `<namespace>/<pod>`.
    pub workload: WorkloadName,
    /// `WEFT_CONTROLLER`: host and port of the control plane.
    pub controller: String,
    /// `WEFT_TOKEN_FILE`: proves the workload to Certify; read anew each time.
    pub token_file: PathBuf,
    /// `WEFT_ROOT_FILE`: PEM of the trust anchors to start with.
    pub root_file: PathBuf,
    /// `WEFT_TRUST_DOMAIN`: the control plane's; default `cluster.local`.
    pub trust_domain: TrustDomain,
    /// `WEFT_INBOUND`: `listen=container port=app`, comma separated.
    pub inbound: Vec<InboundListener>,
    /// `WEFT_INBOUND_REDIRECT`: one listener for redirected connections.
    pub inbound_redirect: Option<SocketAddr>,
    /// `WEFT_OUTBOUND`: the explicit HTTP proxy.
    pub outbound: Option<SocketAddr>,
    /// `WEFT_OUTBOUND_REDIRECT`: one listener for redirected connections; loopback only.
    pub outbound_redirect: Option<SocketAddr>,
    /// `WEFT_SERVICES`: `listen=host:port`, comma separated.
    pub services: Vec<ServiceListener>,
    /// `WEFT_ADMIN`: /metrics, /ready, /live, /config; loopback only.
    pub admin: SocketAddr,
    /// `WEFT_SHARDS`: threads that serve traffic; default 1.
    pub shards: usize,
    /// `WEFT_DRAIN`: time in-flight work has after SIGTERM; default 30s.
    pub drain: Duration,
    /// `WEFT_LOG`: filter, default `info`.
    pub log: String,
    /// `WEFT_LOG_FORMAT`: `text` or `json`.
    pub log_format: weft_runtime::log::Format,
}

/// More shards than this are a typing error.
const SHARDS_MAX: usize = 256;

impl Config {
    /// Reads all settings.
    ///
    /// # Errors
    /// With every setting that is missing or wrong.
    pub fn read(strings: &dyn Strings) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(strings);
        let address = "an address such as 127.0.0.1:15001";
        let workload = read.required(keys::WORKLOAD, "<namespace>/<pod>");
        let controller = read.required(keys::CONTROLLER, "a host and port such as 127.0.0.1:15010");
        let token_file = read.required(keys::TOKEN_FILE, "the path of the workload's token");
        let root_file = read.required(keys::ROOT_FILE, "the path of the trust anchors, PEM");
        let trust_domain = read.or(keys::TRUST_DOMAIN, "a trust domain", TrustDomain::default());
        let inbound = read.optional_with(
            keys::INBOUND,
            "127.0.0.1:41001=8080=127.0.0.1:41002, comma separated",
            parse::inbound,
        );
        let inbound_redirect = read.optional(keys::INBOUND_REDIRECT, address);
        let outbound = read.optional(keys::OUTBOUND, address);
        let outbound_redirect =
            read.optional_with(keys::OUTBOUND_REDIRECT, address, parse::loopback);
        let services = read.optional_with(
            keys::SERVICES,
            "127.0.0.1:41010=shop.production.svc.cluster.local:80, comma separated",
            parse::services,
        );
        let admin = read.required_with(keys::ADMIN, address, parse::loopback);
        let shards = read.optional_with(keys::SHARDS, "1 to 256", |text| match text.parse() {
            Ok(count) if (1..=SHARDS_MAX).contains(&count) => Ok(count),
            Ok(_) => Err("is out of range".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        let drain = read.duration_or(keys::DRAIN, limits::DRAIN_TIMEOUT);
        let log = read.or(keys::LOG, "a filter such as info", "info".to_owned());
        let log_format = read.one_of(
            keys::LOG_FORMAT,
            "text or json",
            &weft_runtime::log::FORMATS,
            weft_runtime::log::Format::default(),
        );
        read.finish(|| {
            Some(Self {
                workload: workload?,
                controller: controller?,
                token_file: token_file?,
                root_file: root_file?,
                trust_domain: trust_domain?,
                inbound: inbound?.unwrap_or_default(),
                inbound_redirect: inbound_redirect?,
                outbound: outbound?,
                outbound_redirect: outbound_redirect?,
                services: services?.unwrap_or_default(),
                admin: admin?,
                shards: shards?.unwrap_or(1),
                drain: drain?,
                log: log?,
                log_format: log_format?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 7] = [
        ("WEFT_WORKLOAD", "production/order-service-0"),
        ("WEFT_CONTROLLER", "127.0.0.1:15010"),
        ("WEFT_TOKEN_FILE", "/run/weft/token"),
        ("WEFT_ROOT_FILE", "/run/weft/root.pem"),
        ("WEFT_ADMIN", "127.0.0.1:15000"),
        ("WEFT_INBOUND", "127.0.0.1:41001=8080=127.0.0.1:41002"),
        (
            "WEFT_SERVICES",
            "127.0.0.1:41010=a.b.svc.cluster.local:80,127.0.0.1:41011=c.d:81",
        ),
    ];

    #[test]
    fn a_whole_environment_is_read() {
        let config = Config::read(&WHOLE).unwrap();
        assert_eq!(config.workload.to_string(), "production/order-service-0");
        assert_eq!(config.inbound.first().unwrap().port, 8080);
        assert_eq!(config.services.len(), 2);
        assert_eq!(config.services.get(1).unwrap().host.as_str(), "c.d");
        assert_eq!(config.shards, 1);
    }

    #[test]
    fn every_error_is_listed() {
        let errors = Config::read(&[
            ("WEFT_WORKLOAD", "order-service-0"),
            ("WEFT_ADMIN", "0.0.0.0:15000"),
            ("WEFT_INBOUND", "127.0.0.1:1"),
            ("WEFT_SHARDS", "0"),
        ])
        .unwrap_err()
        .to_string();
        for named in [
            "WEFT_WORKLOAD",
            "WEFT_CONTROLLER",
            "WEFT_TOKEN_FILE",
            "WEFT_ROOT_FILE",
            "WEFT_ADMIN",
            "WEFT_INBOUND",
            "WEFT_SHARDS",
        ] {
            assert!(errors.contains(named), "{named} is missing in: {errors}");
        }
    }
}
