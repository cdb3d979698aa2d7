//! What the store builds, keeps and forgets.

use super::*;
use crate::ca::{Ca, ROOT_LIFETIME};
use std::time::{Duration, SystemTime};

fn id(name: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/production/sa/{name}")
        .parse()
        .unwrap()
}

#[test]
fn configurations_are_built_once_per_version() {
    let now = SystemTime::now();
    let store = IdentityStore::new();
    assert_eq!(
        store.client_config(&id("b"), Alpn::MeshH2).err(),
        Some(NotYet::Trust)
    );
    let auth = ClientAuth::Required;
    assert_eq!(
        store.server_config(Alpn::MESH, auth).err(),
        Some(NotYet::Leaf)
    );

    let ca = Ca::create_root(&"cluster.local".parse().unwrap(), ROOT_LIFETIME, now).unwrap();
    let first = store.set_trust(TrustRoots::new([&ca.trust_bundle()]).unwrap());
    assert_eq!(
        store.client_config(&id("b"), Alpn::MeshH2).err(),
        Some(NotYet::Leaf)
    );
    assert!(
        store
            .anonymous_client_config(&id("b"), Alpn::Control)
            .is_ok()
    );

    let leaf = ca.issue(&id("a"), Duration::from_secs(600), now).unwrap();
    let second = store.set_leaf(leaf);
    assert!(second > first);
    let config = store.client_config(&id("b"), Alpn::MeshH2).unwrap();
    assert!(Arc::ptr_eq(
        &config,
        &store.client_config(&id("b"), Alpn::MeshH2).unwrap()
    ));
    assert!(!Arc::ptr_eq(
        &config,
        &store.client_config(&id("b"), Alpn::MeshH1).unwrap()
    ));
    assert!(!Arc::ptr_eq(
        &config,
        &store.client_config(&id("c"), Alpn::MeshH2).unwrap()
    ));
    let server = store.server_config(Alpn::MESH, auth).unwrap();
    assert!(Arc::ptr_eq(
        &server,
        &store.server_config(Alpn::MESH, auth).unwrap()
    ));
    assert_eq!(store.version(), second);

    store.set_leaf(ca.issue(&id("a"), Duration::from_secs(600), now).unwrap());
    assert!(!Arc::ptr_eq(
        &config,
        &store.client_config(&id("b"), Alpn::MeshH2).unwrap()
    ));
    let third = store.version();
    assert!(third > second);
    assert_eq!(
        store.set_trust(TrustRoots::new([&ca.trust_bundle()]).unwrap()),
        third
    );
}

#[test]
fn the_cache_is_bounded() {
    let now = SystemTime::now();
    let store = IdentityStore::new();
    let ca = Ca::create_root(&"cluster.local".parse().unwrap(), ROOT_LIFETIME, now).unwrap();
    store.set_trust(TrustRoots::new([&ca.trust_bundle()]).unwrap());
    for n in 0..MAX_CLIENT_CONFIGS + 10 {
        store
            .anonymous_client_config(&id(&format!("s{n}")), Alpn::Control)
            .unwrap();
    }
    assert!(store.current.load().clients.lock().len() <= MAX_CLIENT_CONFIGS);
}
