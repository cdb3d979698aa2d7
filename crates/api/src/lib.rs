//! The wire contract between control plane and proxies, and its conversion to and from [`weft_model`].
//!
//! protobuf messages stop here: nothing above this crate sees one, except the two ends of the stream, which move
//! [`pb::ClientMsg`] and [`pb::ServerMsg`] about. `decode(encode(x)) == x` for every resource.

pub mod decode;
pub mod encode;
pub mod names;

/// The generated messages and services.
#[allow(
    missing_docs,
    unreachable_pub,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::pedantic,
    clippy::use_self,
    reason = "generated from proto/weft.proto, which documents itself"
)]
pub mod pb {
    tonic::include_proto!("weft.v1");
}

/// Version of the contract that this build speaks.
pub const SCHEMA: u32 = 1;
