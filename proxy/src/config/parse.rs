//! Settings that are lists or have a rule of their own.

use super::{InboundListener, ServiceListener};
use std::net::SocketAddr;

fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("`{text}` is not an address"))
}

/// An address that only this machine can reach.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(
            "is not a loopback address: others could use the workload's identity through it"
                .to_owned(),
        )
    }
}

pub(super) fn inbound(text: &str) -> Result<Vec<InboundListener>, String> {
    let one = |entry: &str| match entry.split('=').collect::<Vec<_>>()[..] {
        [listen, port, app] => Ok(InboundListener {
            listen: address(listen)?,
            port: port
                .trim()
                .parse()
                .map_err(|_| format!("`{port}` is not a port"))?,
            app: address(app)?,
        }),
        _ => Err(format!("`{entry}` has not three parts")),
    };
    text.split(',').map(one).collect()
}

pub(super) fn services(text: &str) -> Result<Vec<ServiceListener>, String> {
    let one = |entry: &str| {
        let (listen, service) = entry
            .split_once('=')
            .ok_or_else(|| format!("`{entry}` has not two parts"))?;
        let (host, port) = service
            .rsplit_once(':')
            .ok_or_else(|| format!("`{service}` has no port"))?;
        Ok(ServiceListener {
            listen: address(listen)?,
            host: host.trim().parse().map_err(|error| format!("{error}"))?,
            port: port
                .trim()
                .parse()
                .map_err(|_| format!("`{port}` is not a port"))?,
        })
    };
    text.split(',').map(one).collect()
}
