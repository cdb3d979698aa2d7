//! One connection between two proxies is shared fate; slow readers must not make it everybody's.

use crate::pair::Plan;
use http::Method;
use std::time::Duration;
use tokio::time::Instant;
use weft_testkit::{
    backend::http::HttpBackend,
    client::{Client, empty, request},
};

/// Small requests of one client, one after the other.
const REQUESTS: u32 = 200;

async fn fast(client: &mut Client) -> Duration {
    let start = Instant::now();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/bytes/100").await.unwrap().status, 200);
    }
    start.elapsed()
}

#[tokio::test]
async fn fifty_slow_readers_slow_a_fast_one_by_less_than_half() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h1().await;
    fast(&mut client).await;
    let mut alone: Vec<Duration> = Vec::new();
    for _ in 0..3 {
        alone.push(fast(&mut client).await);
    }
    // Each asks for more than all windows on the way hold, reads nothing, and stays.
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut reader = pair.h2().await;
        let response = reader
            .start(request(Method::GET, "/bytes/4000000", empty()))
            .await
            .unwrap();
        slow.push((reader, response));
    }
    let mut beside: Vec<Duration> = Vec::new();
    for _ in 0..3 {
        beside.push(fast(&mut client).await);
    }
    let best = |times: &[Duration]| times.iter().min().copied().unwrap();
    let (alone, beside) = (best(&alone), best(&beside));
    // Half the rate is twice the time.
    assert!(
        beside < alone * 2,
        "alone {alone:?}, beside slow readers {beside:?}"
    );
    let handshakes = pair
        .web
        .scrape()
        .sum("weft_handshakes_total", &[("side", "outbound")]);
    assert_eq!(handshakes, 1.0, "all of it on one connection");
    drop(slow);
}
