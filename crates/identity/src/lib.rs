//! Who is who: certificates, trust, and every TLS configuration of the mesh.
//!
//! Only this crate builds a rustls configuration, so what is said here holds everywhere: TLS 1.3
//! alone, X25519MLKEM768 before X25519 before P-256, AES-128-GCM first, no resumption, no early
//! data, exact SPIFFE identities. It does no I/O but the handshake on a stream that it is given, has
//! no clock and no randomness but the provider's, and knows nothing of sockets, policy or
//! Kubernetes.
//!
//! | module | what it gives |
//! |---|---|
//! | [`alpn`] | [`alpn::Alpn`]: the one home of `weft-h2/1`, `weft-h1/1`, `weft-tcp/1` and `h2` |
//! | [`store`] | [`store::IdentityStore`]: current leaf and trust, hot-swapped; [`store::IdentityStore::client_config`], [`store::IdentityStore::server_config`], [`store::IdentityStore::version`] |
//! | [`handshake`] | [`handshake::connect`], [`handshake::accept`]: a handshake on any stream, with the [`peer::PeerIdentity`] or a typed [`refusal::HandshakeFailure`] |
//! | [`refusal`] | [`refusal::Refusal`] (why we refuse a peer), [`refusal::HandshakeFailure`] (who refused whom), to be had from any error by [`refusal::HandshakeFailure::find`] |
//! | [`peer`] | [`peer::PeerIdentity`] of a finished handshake |
//! | [`leaf`] | [`leaf::KeyPair`] (new key, signing request), [`leaf::Leaf`] (chain, key, validity, serial, identity) |
//! | [`trust`] | [`trust::TrustRoots`]: parsed anchors by trust domain; PEM in and out |
//! | [`renewal`] | when to renew and when to try again: pure functions of time and chance |
//! | [`ca`] | [`ca::Ca`]: create, load, save, sign |
//!
//! A proxy's way: `KeyPair::generate` -> `csr_der` -> (controller) -> `Leaf::new` ->
//! `IdentityStore::set_leaf`; a trust bundle -> `IdentityStore::set_trust`; then for each
//! connection `client_config` or `server_config` (cached) and `connect` or `accept`.

pub mod alpn;
pub mod ca;
pub mod handshake;
pub mod leaf;
pub mod peer;
mod provider;
pub mod refusal;
pub mod renewal;
pub mod store;
pub mod trust;
mod verify;

pub use provider::{KEY_EXCHANGE, provider};
