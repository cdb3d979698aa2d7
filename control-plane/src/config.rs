//! Settings of the controller, read once at start.

pub mod env;

use std::{net::SocketAddr, path::PathBuf};
use weft_runtime::config::{ConfigErrors, Reader, Strings};

/// Where proxies connect, unless said otherwise.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15010);
/// Where the admin pages are, unless said otherwise.
const ADMIN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15014);
/// Namespace of objects that name none, unless said otherwise.
const NAMESPACE: &str = "default";
/// Log filter, unless said otherwise.
const LOG: &str = "info";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `WEFT_CONTROLLER_LISTEN`: where proxies connect, by gRPC over TLS. Port 0: any.
    pub listen: SocketAddr,
    /// `WEFT_CONTROLLER_ADMIN`: where the admin pages are. Port 0: any.
    pub admin: SocketAddr,
    /// `WEFT_SOURCE_DIR`: the folder of manifests.
    pub source: PathBuf,
    /// `WEFT_NAMESPACE`: namespace of objects that name none.
    pub namespace: String,
    /// `WEFT_RUN_DIR`: the run folder.
    pub run: PathBuf,
    /// `WEFT_LOG`: the log filter.
    pub log: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// With every setting that is missing or wrong.
    pub fn read(strings: &dyn Strings) -> Result<Self, ConfigErrors> {
        let mut read = Reader::new(strings);
        let address = "an address such as 127.0.0.1:15010";
        let listen = read.or("WEFT_CONTROLLER_LISTEN", address, LISTEN);
        let admin = read.or("WEFT_CONTROLLER_ADMIN", address, ADMIN);
        let source = read.path("WEFT_SOURCE_DIR", "the folder of manifests");
        let namespace = read.or("WEFT_NAMESPACE", "a namespace", NAMESPACE.to_owned());
        let run = read.path("WEFT_RUN_DIR", "a folder for keys, tokens and what is kept");
        let log = read.or(
            "WEFT_LOG",
            "a filter such as info,weft_controller=debug",
            LOG.to_owned(),
        );
        read.finish(|| {
            Some(Self {
                listen: listen?,
                admin: admin?,
                source: source?,
                namespace: namespace?,
                run: run?,
                log: log?,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_with_their_defaults() {
        let strings = [
            ("WEFT_SOURCE_DIR", "/manifests"),
            ("WEFT_RUN_DIR", "/run"),
            ("WEFT_CONTROLLER_ADMIN", "127.0.0.1:0"),
        ];
        let config = Config::read(&strings).unwrap();
        assert_eq!(config.listen.port(), 15010);
        assert_eq!(config.admin.port(), 0);
        assert_eq!(config.namespace, "default");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let errors = Config::read(&[("WEFT_CONTROLLER_LISTEN", "here")]).unwrap_err();
        assert_eq!(errors.errors().len(), 3, "{errors}");
    }
}
