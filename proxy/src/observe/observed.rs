//! A response body that knows its exchange: frames pass untouched, and the end is noticed.

use super::exchange::Exchange;
use crate::{body::Body, connect::Lease, error::ProxyError, policy::Deadline, respond::Flag};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Sleep;

/// See the module.
#[derive(Debug, Default)]
pub struct Observed {
    body: Body,
    /// One allocation a request; gone once the response has ended.
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
struct Rest {
    exchange: Exchange,
    lease: Lease,
    deadline: Option<(Pin<Box<Sleep>>, Deadline)>,
}

/// Why a body breaks off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The upstream broke off.
    #[error("the upstream's response broke off")]
    Upstream(#[source] hyper::Error),
    /// The route's timeout passed in the middle of the response.
    #[error(transparent)]
    Timeout(ProxyError),
}

impl Observed {
    /// A response of an upstream.
    #[must_use]
    pub fn of(body: Body, exchange: Exchange, lease: Lease, deadline: Option<Deadline>) -> Self {
        // A response that is whole already needs no clock.
        let deadline = deadline
            .filter(|_| !body.is_end_stream())
            .map(|it| (Box::pin(tokio::time::sleep_until(it.at)), it));
        let mut observed = Self {
            body,
            rest: Some(Box::new(Rest {
                exchange,
                lease,
                deadline,
            })),
        };
        observed.notice_end();
        observed
    }

    /// Without an exchange: what is not counted.
    #[must_use]
    pub fn bare(body: Body) -> Self {
        Self { body, rest: None }
    }

    fn notice_end(&mut self) {
        if self.body.is_end_stream() {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(rest) = self.rest.take() {
            let Rest {
                mut exchange,
                lease,
                ..
            } = *rest;
            exchange.whole();
            lease.complete();
        }
    }

    fn broke(&mut self, flag: Flag) {
        if let Some(mut rest) = self.rest.take() {
            rest.exchange.broke(flag);
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        // Over HTTP/1 a server stops asking once the announced length is written; that the peer has not said END_STREAM yet
        // is then no abort.
        if self.rest.is_some() && self.body.size_hint().exact() == Some(0) {
            self.end();
        }
    }
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(trailers), Some(rest)) = (frame.trailers_ref(), &mut this.rest) {
                    rest.exchange.trailers(trailers);
                }
                this.notice_end();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) => {
                this.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                this.broke(Flag::UpstreamConnection);
                Poll::Ready(Some(Err(BodyError::Upstream(error))))
            }
            Poll::Pending => {
                let passed = match &mut this.rest {
                    Some(rest) => rest.deadline.as_mut().and_then(|(sleep, deadline)| {
                        sleep.as_mut().poll(cx).is_ready().then_some(deadline.after)
                    }),
                    None => None,
                };
                let Some(after) = passed else {
                    return Poll::Pending;
                };
                this.broke(Flag::UpstreamTimeout);
                // The upstream's part is dropped at once: its stream is reset.
                this.body = Body::Empty;
                Poll::Ready(Some(Err(BodyError::Timeout(ProxyError::RequestTimeout {
                    after,
                }))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
