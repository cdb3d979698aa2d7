//! The cryptography: one provider, with our order of preference.
//!
//! X25519MLKEM768 costs about 1.1 KB each way per handshake, once per pooled connection, and keeps
//! what is recorded today from being read by a later quantum computer. AES-128-GCM is the fastest
//! suite with AES instructions; ChaCha20 is there for a peer that offers nothing else.

use std::sync::{Arc, OnceLock};

use rustls::NamedGroup;
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// The key exchanges offered, best first.
pub const KEY_EXCHANGE: [NamedGroup; 3] = [
    NamedGroup::X25519MLKEM768,
    NamedGroup::X25519,
    NamedGroup::secp256r1,
];

/// The provider that every configuration of the mesh uses.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
                aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
                aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![
                aws_lc_rs::kx_group::X25519MLKEM768,
                aws_lc_rs::kx_group::X25519,
                aws_lc_rs::kx_group::SECP256R1,
            ],
            ..aws_lc_rs::default_provider()
        })
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_ours() {
        let provider = provider();
        let groups: Vec<_> = provider.kx_groups.iter().map(|g| g.name()).collect();
        assert_eq!(groups, KEY_EXCHANGE);
        let suites: Vec<_> = provider.cipher_suites.iter().map(|s| s.suite()).collect();
        assert_eq!(
            suites.first(),
            Some(&rustls::CipherSuite::TLS13_AES_128_GCM_SHA256)
        );
        assert!(provider.cipher_suites.iter().all(|s| s.tls13().is_some()));
    }
}
