//! One request on its way through one side: counted and logged once, when its response has ended or it has come to
//! nothing. Dropping it is the end, so no way out of a pipeline can forget it.

use super::{
    Observe,
    access_log::Entry,
    labels::RequestProtocol,
    own::Own,
    series::{Edge, SeriesKey},
};
use crate::{
    balance::Load,
    headers,
    respond::{self, Flag},
};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use tokio::time::Instant;
use weft_traffic::Outcome;

/// See the module.
#[derive(Debug)]
pub struct Exchange {
    observe: Arc<Observe>,
    own: Arc<Own>,
    started: Instant,
    edge: Option<Arc<Edge>>,
    key: SeriesKey,
    load: Option<Load>,
    /// What the access log will say; none while it is off.
    pub log: Option<Box<Entry>>,
    ended: Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    NotYet,
    Whole,
}

impl Exchange {
    pub(super) fn new(
        observe: Arc<Observe>,
        own: Arc<Own>,
        request: &HeaderMap,
        log: Option<Box<Entry>>,
    ) -> Self {
        let protocol = match respond::is_grpc(request) {
            true => RequestProtocol::Grpc,
            false => RequestProtocol::Http,
        };
        Self {
            observe,
            own,
            started: Instant::now(),
            edge: None,
            key: SeriesKey {
                protocol,
                code: 0,
                flag: Flag::None,
                grpc: None,
            },
            load: None,
            log,
            ended: Ended::NotYet,
        }
    }

    /// When the request's head had been read.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether the request is gRPC.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.key.protocol == RequestProtocol::Grpc
    }

    /// Who counts.
    #[must_use]
    pub fn own(&self) -> &Arc<Own> {
        &self.own
    }

    /// Between whom it is.
    pub fn on(&mut self, edge: Arc<Edge>) {
        self.edge = Some(edge);
    }

    /// Whether it is known between whom it is.
    #[must_use]
    pub fn has_edge(&self) -> bool {
        self.edge.is_some()
    }

    /// The balancer's account, closed with this.
    pub fn carry(&mut self, load: Load) {
        self.load = Some(load);
    }

    /// Lets the access log say more.
    pub fn note(&mut self, say: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.log {
            say(entry);
        }
    }

    /// The response's head is here.
    pub fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.key.code = status.as_u16();
        let mut outcome = Outcome::of_status(status);
        if self.is_grpc()
            && let Some(status) = grpc_status(headers)
        {
            self.key.grpc = Some(status);
            outcome = Outcome::of_grpc_status(u32::from(status));
        }
        if let Some(load) = &mut self.load {
            load.answered(outcome);
        }
        let started = self.started;
        self.note(|entry| entry.head_after = Some(started.elapsed()));
    }

    /// The response's trailers are here.
    pub fn trailers(&mut self, trailers: &HeaderMap) {
        if self.is_grpc()
            && let Some(status) = grpc_status(trailers)
        {
            self.key.grpc = Some(status);
            if let Some(load) = &mut self.load {
                load.revise(Outcome::of_grpc_status(u32::from(status)));
            }
        }
    }

    /// The proxy answers itself: what the client will see.
    pub fn replied(&mut self, row: &respond::Row) {
        self.key.flag = row.flag;
        if self.is_grpc() {
            self.key.code = StatusCode::OK.as_u16();
            self.key.grpc = Some(row.grpc as u8);
        } else {
            self.key.code = row.status;
        }
        self.failed();
        self.note(|entry| entry.error_code = Some(row.code));
    }

    /// The endpoint failed the request; the balancer shall know.
    fn failed(&mut self) {
        if let Some(load) = &mut self.load {
            load.answered(Outcome::Failure);
        }
    }

    /// The response broke off; the client sees a reset.
    pub fn broke(&mut self, flag: Flag) {
        self.key.flag = flag;
        self.failed();
        self.ended = Ended::Whole;
    }

    /// The response has ended as it should.
    pub fn whole(&mut self) {
        self.ended = Ended::Whole;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.ended == Ended::NotYet && self.key.flag == Flag::None {
            self.key.flag = Flag::DownstreamConnection;
        }
        let took = self.started.elapsed();
        if let Some(edge) = &self.edge {
            edge.observe(self.key, took);
        }
        if let Some(entry) = self.log.take() {
            self.observe
                .access
                .write(self.own.access_log, &entry, self.key, took);
        }
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u8> {
    headers
        .get(headers::GRPC_STATUS)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()
}
