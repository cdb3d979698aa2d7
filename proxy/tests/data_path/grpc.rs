//! gRPC through a pair: a call in each shape, and what is counted of it.

use crate::pair::Plan;
use tokio_stream::StreamExt;
use tonic::Code;
use weft_model::protocol::Protocol;
use weft_testkit::backend::grpc::{
    GrpcBackend,
    pb::{Payload, echo_client::EchoClient},
};

fn payload(data: &'static str) -> Payload {
    Payload {
        data: data.as_bytes().into(),
        ..Payload::default()
    }
}

#[tokio::test]
async fn calls_of_every_shape_pass_and_are_counted_with_their_status() {
    let app = GrpcBackend::start().await;
    let pair = Plan::speaking(Protocol::Grpc).start(app.addr()).await;
    let mut client = EchoClient::connect(format!("http://{}", pair.service))
        .await
        .unwrap();
    assert_eq!(
        client.unary(payload("a")).await.unwrap().into_inner().data,
        "a"
    );
    let requests = tokio_stream::iter([payload("a"), payload("b")]);
    assert_eq!(
        client
            .client_stream(requests)
            .await
            .unwrap()
            .into_inner()
            .data,
        "ab"
    );
    let request = Payload {
        repeat: 50,
        ..payload("c")
    };
    let replies = client.server_stream(request).await.unwrap().into_inner();
    assert_eq!(replies.collect::<Vec<_>>().await.len(), 50);
    let requests = tokio_stream::iter([payload("d"), payload("e")]);
    let replies = client.bidi_stream(requests).await.unwrap().into_inner();
    assert_eq!(replies.collect::<Vec<_>>().await.len(), 2);
    // Once as a trailers-only reply, once in the middle of a stream: in real trailers.
    let failing = Payload {
        fail_with: Code::NotFound as i32,
        ..payload("f")
    };
    assert_eq!(
        client.unary(failing).await.unwrap_err().code(),
        Code::NotFound
    );
    let failing = Payload {
        fail_with: Code::DataLoss as i32,
        ..payload("g")
    };
    let requests = tokio_stream::iter([payload("h"), failing]);
    let replies = client.bidi_stream(requests).await.unwrap().into_inner();
    let replies: Vec<_> = replies.collect().await;
    assert_eq!(
        replies.last().unwrap().as_ref().unwrap_err().code(),
        Code::DataLoss
    );

    for (side, security) in [(&pair.web, "unknown"), (&pair.shop, "mutual_tls")] {
        let scrape = side.scrape();
        let count = |status: &str| {
            let labels = [
                ("request_protocol", "grpc"),
                ("response_code", "200"),
                ("grpc_response_status", status),
                ("connection_security_policy", security),
                ("response_flags", "-"),
            ];
            scrape.sum("istio_requests_total", &labels)
        };
        assert_eq!((count("0"), count("5"), count("15")), (4.0, 1.0, 1.0));
        assert_eq!(scrape.sum("istio_requests_total", &[]), 6.0);
    }
}

#[tokio::test]
async fn a_reply_of_the_proxy_is_a_grpc_status() {
    let app = GrpcBackend::start().await;
    let pair = Plan::speaking(Protocol::Grpc).start(app.addr()).await;
    pair.edit_policy(|policy| policy.http.clear());
    let mut client = EchoClient::connect(format!("http://{}", pair.service))
        .await
        .unwrap();
    let status = client.unary(payload("a")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    assert!(
        status.message().contains("no rule of shop.production"),
        "{status}"
    );
    let labels = [
        ("response_flags", "NR"),
        ("grpc_response_status", "12"),
        ("response_code", "200"),
    ];
    assert_eq!(pair.web.scrape().sum("istio_requests_total", &labels), 1.0);
}

/// Many tiny messages to a reader that lags must not use up the connection's budget for small frames.
#[tokio::test]
async fn a_slow_reader_of_many_small_messages_does_not_end_the_connection() {
    let app = GrpcBackend::start().await;
    let pair = Plan::speaking(Protocol::Grpc).start(app.addr()).await;
    let mut client = EchoClient::connect(format!("http://{}", pair.service))
        .await
        .unwrap();
    let request = Payload {
        repeat: 20_000,
        ..payload("x")
    };
    let mut slow = client.server_stream(request).await.unwrap().into_inner();
    for _ in 0..100 {
        assert_eq!(
            client.unary(payload("a")).await.unwrap().into_inner().data,
            "a"
        );
    }
    let mut count = 0;
    while let Some(message) = slow.next().await {
        message.unwrap();
        count += 1;
    }
    assert_eq!(count, 20_000);
}
