//! Whether a TLS ClientHello is one of ours: by the ALPN names that it offers.

use weft_identity::alpn::Alpn;

/// What a ClientHello says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// Not whole yet.
    More,
    /// It offers a protocol of the mesh.
    Mesh,
    /// The application's own TLS, or something that only looks like TLS.
    Application,
}

/// Reads the ClientHello at the start of `bytes`.
#[must_use]
pub fn hello(bytes: &[u8]) -> Hello {
    let mut acceptor = rustls::server::Acceptor::default();
    let mut rest = bytes;
    loop {
        match acceptor.read_tls(&mut rest) {
            Ok(0) | Err(_) => return Hello::More,
            Ok(_) => {}
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let mesh = accepted.client_hello().alpn().is_some_and(|mut names| {
                    names.any(|name| Alpn::mesh_from_bytes(name).is_some())
                });
                return if mesh {
                    Hello::Mesh
                } else {
                    Hello::Application
                };
            }
            Ok(None) => {}
            // No ClientHello that we understand is still one that the application may: its bytes pass.
            Err(_) => return Hello::Application,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello_of(alpn: Alpn) -> Vec<u8> {
        let peer = weft_testkit::mesh::id("production", "shop");
        let store = weft_testkit::mesh::TestCa::new().store(&peer);
        let config = store.client_config(&peer, alpn).unwrap();
        let name = weft_identity::handshake::server_name();
        let mut client = rustls::ClientConnection::new(config, name).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_hello_is_told_by_its_alpn_once_it_is_whole() {
        for (alpn, expected) in [
            (Alpn::MeshH2, Hello::Mesh),
            (Alpn::MeshTcp, Hello::Mesh),
            (Alpn::Control, Hello::Application),
        ] {
            let bytes = hello_of(alpn);
            assert!(bytes.len() > 1024, "a hello with ML-KEM is over 1 KiB");
            for end in 0..bytes.len() {
                assert_eq!(hello(&bytes[..end]), Hello::More, "{end} bytes of {alpn}");
            }
            assert_eq!(hello(&bytes), expected, "{alpn}");
        }
    }

    #[test]
    fn what_is_no_hello_is_the_applications() {
        assert_eq!(hello(&[]), Hello::More);
        assert_eq!(hello(b"\x16\x03\x01\x02\x00\x01"), Hello::More);
        assert_eq!(hello(b"\x16\x03\x01\x00\x05hello"), Hello::Application);
    }
}
