//! The end: no new work, what is in flight is finished, bounded.

use crate::pair::{Pair, Plan};
use std::time::Duration;
use tokio::net::TcpStream;
use weft_runtime::{drain::Drained, task};
use weft_testkit::{backend::http::HttpBackend, client::Client, wait::until};

const DEADLINE: Duration = Duration::from_secs(10);

async fn finishes(client: impl AsyncFnOnce(&Pair) -> Client) {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = client(&pair).await;
    let request = task::spawn("test-request", async move {
        (
            client.get("/delay/300").await.map(|reply| reply.status),
            client,
        )
    });
    until(DEADLINE, "the request to arrive", || app.in_flight() > 0).await;
    let ended = pair.web.drain.run(DEADLINE, std::future::pending()).await;
    assert_eq!(ended, Drained::Finished);
    let (status, client) = request.await.unwrap();
    assert_eq!(status.unwrap(), 200);
    until(DEADLINE, "the connection to close", || client.is_closed()).await;
    assert!(
        TcpStream::connect(pair.service).await.is_err(),
        "nothing new is accepted"
    );
    let ended = pair.shop.drain.run(DEADLINE, std::future::pending()).await;
    assert_eq!(
        ended,
        Drained::Finished,
        "a peer's idle connection does not hold the server"
    );
}

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    finishes(async |pair| pair.h1().await).await;
    finishes(async |pair| pair.h2().await).await;
}

#[tokio::test]
async fn the_deadline_cuts_what_is_left() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    let mut client = pair.h2().await;
    let request = task::spawn(
        "test-request",
        async move { client.get("/delay/60000").await },
    );
    until(DEADLINE, "the request to arrive", || app.in_flight() > 0).await;
    let ended = pair
        .web
        .drain
        .run(Duration::from_millis(100), std::future::pending())
        .await;
    assert!(matches!(ended, Drained::DeadlinePassed { .. }), "{ended:?}");
    assert!(request.await.unwrap().is_err());
}
