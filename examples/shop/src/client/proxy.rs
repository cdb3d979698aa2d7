//! Which requests go through a proxy: `http_proxy` and `no_proxy` as curl, Python and Go read them.

use std::net::IpAddr;

use http::Uri;
use http::uri::Authority;

/// A proxy setting that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProxyRulesError {
    /// Not a URL, or none with a host.
    #[error("http_proxy={0:?} is not a URL of the form http://host:port")]
    Malformed(String),
    /// A proxy that would have to be spoken to in another way.
    #[error("http_proxy={0:?}: only a proxy by plain HTTP and without a password is supported")]
    Unsupported(String),
}

/// The proxy, and the hosts that are reached without it.
#[derive(Debug, Clone, Default)]
pub struct ProxyRules {
    proxy: Option<Uri>,
    bypass: Vec<Bypass>,
}

/// One entry of `no_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Bypass {
    Everything,
    Address(IpAddr),
    Network(IpAddr, u8),
    /// This host and those below it, at any port or one.
    Domain(String, Option<u16>),
}

impl ProxyRules {
    /// No proxy at all.
    #[must_use]
    pub fn direct() -> Self {
        Self::default()
    }

    /// Reads the two settings; an empty one is unset.
    ///
    /// # Errors
    /// The proxy's URL cannot be used. An entry of `no_proxy` that makes no sense matches nothing.
    pub fn parse(http_proxy: &str, no_proxy: &str) -> Result<Self, ProxyRulesError> {
        let http_proxy = http_proxy.trim();
        if http_proxy.is_empty() {
            return Ok(Self::direct());
        }
        let whole = if http_proxy.contains("://") {
            http_proxy.to_owned()
        } else {
            format!("http://{http_proxy}")
        };
        let malformed = || ProxyRulesError::Malformed(http_proxy.to_owned());
        let uri: Uri = whole.parse().map_err(|_| malformed())?;
        let authority = uri.authority().ok_or_else(malformed)?;
        if uri.scheme_str() != Some("http") || authority.as_str().contains('@') {
            return Err(ProxyRulesError::Unsupported(http_proxy.to_owned()));
        }
        let proxy = Uri::builder()
            .scheme("http")
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .map_err(|_| malformed())?;
        let bypass = no_proxy.split(',').filter_map(Bypass::parse).collect();
        Ok(Self {
            proxy: Some(proxy),
            bypass,
        })
    }

    /// The proxy for a request to `target`, `None` to go directly.
    pub(crate) fn proxy_for(&self, target: &Authority) -> Option<&Uri> {
        let host = target
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_lowercase();
        let port = target.port_u16().unwrap_or(80);
        let bypassed = self.bypass.iter().any(|entry| entry.covers(&host, port));
        self.proxy.as_ref().filter(|_| !bypassed)
    }
}

impl Bypass {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((network, length)) = entry.split_once('/') {
            return Some(Self::Network(network.parse().ok()?, length.parse().ok()?));
        }
        if let Ok(address) = entry.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        let host = host.trim_start_matches('*').trim_start_matches('.');
        Some(Self::Domain(host.to_owned(), port))
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        let address = || host.parse::<IpAddr>().ok();
        match self {
            Self::Everything => true,
            Self::Address(expected) => address() == Some(*expected),
            Self::Network(network, length) => {
                address().is_some_and(|address| within(address, *network, *length))
            }
            Self::Domain(domain, only) => {
                only.is_none_or(|only| only == port)
                    && host
                        .strip_suffix(domain.as_str())
                        .is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        }
    }
}

/// Whether the first `length` bits of both addresses are the same.
fn within(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let (address, network, bits): (u128, u128, u32) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => (
            u128::from(address.to_bits()),
            u128::from(network.to_bits()),
            32,
        ),
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let Some(ignored) = bits.checked_sub(u32::from(length)) else {
        return false;
    };
    (address ^ network).checked_shr(ignored).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(no_proxy: &str, target: &str, proxied: bool) {
        let rules = ProxyRules::parse("http://127.0.0.1:15001", no_proxy).unwrap();
        let authority = Authority::try_from(target).unwrap();
        assert_eq!(
            rules.proxy_for(&authority).is_some(),
            proxied,
            "{no_proxy:?} {target}"
        );
    }

    #[test]
    fn bypasses_what_no_proxy_names() {
        let laptop = "localhost,127.0.0.1,::1";
        check(laptop, "user-service", true);
        check(laptop, "localhost:8080", false);
        check(laptop, "127.0.0.1:8080", false);
        check(laptop, "127.0.0.2:8080", true);
        check(laptop, "[::1]:8080", false);
        check("", "localhost", true);
        check("*", "user-service", false);
        check(".example.org", "www.example.org", false);
        check("example.org", "WWW.EXAMPLE.ORG", false);
        check("*.example.org", "www.example.org", false);
        check("example.org", "badexample.org", true);
        check("example.org:81", "example.org", true);
        check("example.org:80", "example.org", false);
        check("10.0.0.0/8", "10.1.2.3", false);
        check("10.0.0.0/8", "11.1.2.3", true);
        check("0.0.0.0/0", "11.1.2.3", false);
        check("fd00::/8", "[fd12::1]:80", false);
        check("10.0.0.0/99", "10.1.2.3", true);
        check(" , ,", "user-service", true);
    }

    #[test]
    fn without_a_proxy_everything_is_direct() {
        let rules = ProxyRules::parse("", "").unwrap();
        assert!(
            rules
                .proxy_for(&Authority::from_static("user-service"))
                .is_none()
        );
    }

    #[test]
    fn reads_the_forms_of_a_proxy() {
        let proxy = |text: &str| {
            let rules = ProxyRules::parse(text, "")?;
            Ok::<_, ProxyRulesError>(rules.proxy.unwrap().to_string())
        };
        assert_eq!(proxy("127.0.0.1:3128").unwrap(), "http://127.0.0.1:3128/");
        assert_eq!(proxy("http://proxy/ignored").unwrap(), "http://proxy/");
        assert!(matches!(
            proxy("https://proxy:1"),
            Err(ProxyRulesError::Unsupported(_))
        ));
        assert!(matches!(
            proxy("http://a:b@proxy:1"),
            Err(ProxyRulesError::Unsupported(_))
        ));
        assert!(matches!(
            proxy("http://"),
            Err(ProxyRulesError::Malformed(_))
        ));
    }
}
