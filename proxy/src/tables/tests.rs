//! A first question waits for its answer, within its bound.

use super::*;
use weft_model::protocol::Protocol;

fn name() -> Name {
    Name::Authority {
        host: "shop".to_owned(),
        port: 80,
    }
}

fn with_policy(mut snapshot: Snapshot) -> Snapshot {
    let host: weft_model::host::Host = "shop.production.svc.cluster.local".parse().unwrap();
    let policy = OutboundPolicy {
        host: host.clone(),
        service: "shop".to_owned(),
        namespace: "production".to_owned(),
        port: 80,
        protocol: Protocol::Http1,
        http: Vec::new(),
        tcp: Vec::new(),
        sources: Vec::new(),
    };
    snapshot
        .outbound
        .insert((host.clone(), 80), Arc::new(policy));
    snapshot
        .names
        .insert(name(), NameEntry::new(Answer::Outbound(host, 80)));
    snapshot
}

#[tokio::test(start_paused = true)]
async fn a_first_question_is_announced_and_waits_for_the_answer() {
    let (tables, mut interest) = Tables::new();
    let asked_for = name();
    let asked = tables.outbound(&asked_for);
    let answer = async {
        assert_eq!(interest.recv().await, Some(name()));
        tables.store(with_policy(Snapshot::default()));
    };
    let (found, ()) = tokio::join!(asked, answer);
    assert!(matches!(found, Ok(Found::Policy(_))));
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_the_error_says_how_the_link_is() {
    let (tables, _interest) = Tables::new();
    tables.describe_link("connection refused");
    let start = tokio::time::Instant::now();
    let error = tables.outbound(&name()).await.unwrap_err();
    assert_eq!(start.elapsed(), limits::DISCOVERY_WAIT);
    assert_eq!(
        error.to_string(),
        "no configuration for shop:80 within 3s: connection refused"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_learned_is_served_at_once_and_marked_used() {
    let (tables, _interest) = Tables::new();
    tables.store(with_policy(Snapshot::default()));
    let snapshot = tables.snapshot();
    let entry = snapshot.names.get(&name()).unwrap();
    entry.used.store(false, Ordering::Relaxed);
    assert!(matches!(
        tables.outbound(&name()).await,
        Ok(Found::Policy(_))
    ));
    assert!(entry.used.load(Ordering::Relaxed));
}
