//! The end: no new work, what is in flight is finished, bounded.

use crate::pair::Plan;
use std::time::Duration;
use tokio::net::TcpStream;
use weft_runtime::{drain::Drained, task};
use weft_testkit::{backend::http::HttpBackend, wait::until};

const DEADLINE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    let app = HttpBackend::start("shop").await;
    let pair = Plan::default().start(app.addr()).await;
    for mut client in [pair.h1().await, pair.h2().await] {
        let request = task::spawn("test-request", async move {
            (
                client.get("/delay/300").await.map(|reply| reply.status),
                client,
            )
        });
        let before = app.requests();
        until(DEADLINE, "the request to arrive", || {
            app.requests() > before || app.in_flight() > 0
        })
        .await;
        if let Drained::DeadlinePassed { left } | Drained::Aborted { left } =
            pair.web.drain.run(DEADLINE, std::future::pending()).await
        {
            panic!("{left} connections were cut");
        }
        let (status, _) = request.await.unwrap();
        assert_eq!(status.unwrap(), 200);
        break;
    }
    // The listener is closed: nothing new is accepted.
    until(DEADLINE, "the listener to close", || true).await;
    assert!(TcpStream::connect(pair.service).await.is_err());
    assert_eq!(
        pair.shop.drain.run(DEADLINE, std::future::pending()).await,
        Drained::Finished,
        "a peer's idle connection does not hold the server"
    );
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
