//! Servers to call through the mesh: real protocols, faults on demand, and a memory.

pub mod grpc;
pub mod http;
pub mod tcp;
