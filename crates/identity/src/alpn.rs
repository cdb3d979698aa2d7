//! The protocols that are spoken over mutual TLS, by their ALPN names.
//!
//! Place: the client names one, the inbound tells by it what rides inside. A wire contract: a name
//! changes its number when its meaning changes.

/// A protocol over mutual TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Alpn {
    /// HTTP of any version between sidecars, as HTTP/2: many streams over one connection.
    MeshH2,
    /// HTTP/1.1 between sidecars as it is: upgrades, and where HTTP/2 is not wanted.
    MeshH1,
    /// Bytes between sidecars, one connection for each of the application's.
    MeshTcp,
    /// gRPC to the control plane.
    Control,
}

impl Alpn {
    /// Everything that a sidecar's inbound accepts, in order of preference.
    pub const MESH: &'static [Self] = &[Self::MeshH2, Self::MeshH1, Self::MeshTcp];
    /// What the control plane accepts.
    pub const CONTROL: &'static [Self] = &[Self::Control];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MeshH2 => "weft-h2/1",
            Self::MeshH1 => "weft-h1/1",
            Self::MeshTcp => "weft-tcp/1",
            Self::Control => "h2",
        }
    }

    /// The name on the wire, as bytes.
    pub const fn as_bytes(self) -> &'static [u8] {
        self.as_str().as_bytes()
    }

    /// The mesh protocol of that name: what a ClientHello must offer to be one of ours.
    pub fn mesh_from_bytes(name: &[u8]) -> Option<Self> {
        Self::MESH
            .iter()
            .copied()
            .find(|alpn| alpn.as_bytes() == name)
    }

    /// The protocol of that name.
    pub fn from_bytes(name: &[u8]) -> Option<Self> {
        Self::mesh_from_bytes(name)
            .or_else(|| (name == Self::Control.as_bytes()).then_some(Self::Control))
    }
}

impl std::fmt::Display for Alpn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for alpn in Alpn::MESH.iter().chain(Alpn::CONTROL) {
            assert_eq!(Alpn::from_bytes(alpn.as_bytes()), Some(*alpn));
        }
        // An application's own HTTP/2 must not be taken for the mesh's.
        assert_eq!(Alpn::mesh_from_bytes(b"h2"), None);
        assert_eq!(Alpn::from_bytes(b"http/1.1"), None);
    }
}
