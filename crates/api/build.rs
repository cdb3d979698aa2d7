//! Generates Rust from the contract into OUT_DIR, with a compiler in Rust: no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto/weft.proto");
    let files = protox::compile(["weft.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // A map in a fixed order, so that equal content has equal bytes and hence equal versions.
        .btree_map(".")
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
