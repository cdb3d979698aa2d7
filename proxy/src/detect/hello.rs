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

    #[test]
    fn what_is_no_hello_is_the_applications() {
        assert_eq!(hello(&[]), Hello::More);
        assert_eq!(hello(b"\x16\x03\x01\x02\x00\x01"), Hello::More);
        assert_eq!(hello(b"\x16\x03\x01\x00\x05hello"), Hello::Application);
    }
}
