//! Generates the gRPC code of user-service from its .proto. protox is a compiler in Rust: no protoc
//! has to be installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "proto/user_service.proto";
    println!("cargo:rerun-if-changed={proto}");
    let descriptors = protox::compile([proto], ["proto"])?;
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .compile_fds(descriptors)?;
    Ok(())
}
