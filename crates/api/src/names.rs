//! Subscription names on the wire.

use crate::{decode::DecodeError, pb};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use weft_model::resource::Name;

/// A socket address as it travels.
#[must_use]
pub fn encode_address(address: SocketAddr) -> pb::AddrPort {
    let ip = match address.ip() {
        IpAddr::V4(ip) => Bytes::copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => Bytes::copy_from_slice(&ip.octets()),
    };
    pb::AddrPort {
        ip,
        port: u32::from(address.port()),
    }
}

/// The address back.
///
/// # Errors
/// When the IP has neither 4 nor 16 bytes, or the port does not fit.
pub fn decode_address(address: &pb::AddrPort) -> Result<SocketAddr, DecodeError> {
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(&address.ip[..]) {
        IpAddr::from(v4)
    } else if let Ok(v6) = <[u8; 16]>::try_from(&address.ip[..]) {
        IpAddr::from(v6)
    } else {
        return Err(DecodeError::new(
            "ip",
            format!("has {} bytes", address.ip.len()),
        ));
    };
    Ok(SocketAddr::new(ip, decode_port(address.port)?))
}

/// A port back.
///
/// # Errors
/// When it is no port.
pub fn decode_port(port: u32) -> Result<u16, DecodeError> {
    u16::try_from(port).map_err(|_| DecodeError::new("port", format!("{port} is no port")))
}

/// A name as it travels.
#[must_use]
pub fn encode(name: &Name) -> pb::Name {
    use pb::name::Name as Wire;
    let name = match name {
        Name::Outbound(address) => Wire::Outbound(encode_address(*address)),
        Name::Authority { host, port } => Wire::Authority(pb::HostPort {
            host: host.clone(),
            port: u32::from(*port),
        }),
        Name::Inbound(port) => Wire::Inbound(u32::from(*port)),
        Name::Trust => Wire::Trust(pb::Empty {}),
        Name::Workload => Wire::Workload(pb::Empty {}),
    };
    pb::Name { name: Some(name) }
}

/// A name back.
///
/// # Errors
/// When it is empty or names what this build does not know.
pub fn decode(name: &pb::Name) -> Result<Name, DecodeError> {
    use pb::name::Name as Wire;
    Ok(
        match name
            .name
            .as_ref()
            .ok_or_else(|| DecodeError::new("name", "is empty"))?
        {
            Wire::Outbound(address) => Name::Outbound(decode_address(address)?),
            Wire::Authority(at) => Name::Authority {
                host: at.host.to_ascii_lowercase(),
                port: decode_port(at.port)?,
            },
            Wire::Inbound(port) => Name::Inbound(decode_port(*port)?),
            Wire::Trust(_) => Name::Trust,
            Wire::Workload(_) => Name::Workload,
        },
    )
}
