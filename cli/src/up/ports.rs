//! Which port belongs to whom: ports are allocated on loopback, since ten sidecars share one.
//!
//! Invariants: a port is used for one purpose in one run, never again for another; a port is free
//! when it is chosen. Between choosing and listening somebody may take it, so a process that says
//! so is given new ones. Ports are taken below the range from which the kernel gives clients theirs,
//! or a connection of the demo's own load could sit on the port of a process that restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use rand::rngs::{StdRng, SysRng};
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use super::services::ServiceDecl;
use super::workload::Workload;

/// Below it are ports that people use by hand.
const LOWEST: u16 = 20_000;

/// Where Linux begins its clients' ports unless told otherwise.
const CLIENTS_BEGIN: u16 = 32_768;

/// How often a random port is tried before giving up.
const TRIES: u32 = 2_000;

/// Gives out ports. Cheap to clone; one memory for all clones.
#[derive(Debug, Clone)]
pub struct PortAllocator {
    used: Arc<Mutex<BTreeSet<u16>>>,
    /// First and one past the last.
    range: (u16, u16),
}

impl Default for PortAllocator {
    fn default() -> Self {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let begin = range
            .ok()
            .and_then(|text| text.split_whitespace().next()?.parse().ok())
            .unwrap_or(CLIENTS_BEGIN);
        Self::below(begin)
    }
}

impl PortAllocator {
    /// Allocates below `clients_begin` where there is room, else anywhere.
    fn below(clients_begin: u16) -> Self {
        let roomy = clients_begin.saturating_sub(LOWEST) >= 4_000;
        Self {
            used: Arc::default(),
            range: (LOWEST, if roomy { clients_begin } else { 60_000 }),
        }
    }

    /// A loopback address that nobody listens on and that this run has not used.
    ///
    /// # Errors
    /// When none is found.
    pub fn allocate(&self) -> Result<SocketAddr> {
        let mut used = self
            .used
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut rng = StdRng::try_from_rng(&mut SysRng).context("asking the kernel for chance")?;
        for _ in 0..TRIES {
            let port = rng.random_range(self.range.0..self.range.1);
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if !used.contains(&port) && TcpListener::bind(address).is_ok() {
                used.insert(port);
                return Ok(address);
            }
        }
        bail!(
            "no free port was found between {} and {}",
            self.range.0,
            self.range.1
        )
    }

    /// All the ports of one instance.
    ///
    /// # Errors
    /// When none are left.
    pub fn instance(&self, workload: &Workload, services: &[ServiceDecl]) -> Result<InstancePorts> {
        let allocate = || {
            self.allocate()
                .context("allocating the ports of an instance")
        };
        let mut inbound = Vec::new();
        for port in &workload.ports {
            inbound.push(InboundPort {
                name: port.name.clone(),
                container_port: port.number,
                listen: allocate()?,
                app: allocate()?,
            });
        }
        let mut listeners = BTreeMap::new();
        for service in services {
            for port in &service.ports {
                listeners.insert(format!("{}:{}", service.host(), port.number), allocate()?);
            }
        }
        Ok(InstancePorts {
            inbound,
            outbound: allocate()?,
            admin: allocate()?,
            services: listeners,
        })
    }
}

/// The ports of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstancePorts {
    /// One for each container port.
    pub inbound: Vec<InboundPort>,
    /// The sidecar's explicit HTTP proxy.
    pub outbound: SocketAddr,
    /// The sidecar's admin server.
    pub admin: SocketAddr,
    /// The sidecar's listener for each Service port, by `host:port`.
    pub services: BTreeMap<String, SocketAddr>,
}

/// One container port with what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundPort {
    /// Its name in the YAML.
    pub name: Option<String>,
    /// Its number in the YAML.
    pub container_port: u16,
    /// Where the sidecar listens: what peers are given.
    pub listen: SocketAddr,
    /// Where the application listens.
    pub app: SocketAddr,
}

impl InstancePorts {
    /// The port that the application is given for a container port.
    pub fn app(&self, container_port: u16) -> Option<u16> {
        self.inbound
            .iter()
            .find(|port| port.container_port == container_port)
            .map(|port| port.app.port())
    }

    /// The listener for a Service port.
    pub fn service(&self, host: &str, port: u16) -> Option<SocketAddr> {
        self.services.get(&format!("{host}:{port}")).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() {
        let ports = PortAllocator::default();
        let given: BTreeSet<SocketAddr> = (0..200).map(|_| ports.allocate().unwrap()).collect();
        assert_eq!(given.len(), 200);
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_given() {
        let taken = PortAllocator::below(CLIENTS_BEGIN);
        let address = taken.allocate().unwrap();
        let _listener = TcpListener::bind(address).unwrap();
        let narrow = PortAllocator {
            used: Arc::default(),
            range: (address.port(), address.port() + 1),
        };
        assert!(narrow.allocate().is_err());
    }

    #[test]
    fn ports_stay_below_those_of_clients() {
        let ports = PortAllocator::below(CLIENTS_BEGIN);
        assert!((0..50).all(|_| ports.allocate().unwrap().port() < CLIENTS_BEGIN));
        assert_eq!(PortAllocator::below(10_000).range, (LOWEST, 60_000));
    }
}
