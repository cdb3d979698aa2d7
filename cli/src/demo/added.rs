//! What the sidecars cost in time: the same request with and without them.
//!
//! A few requests a second, one after the other on kept connections: straight to the port of a
//! storefront's process, and through the load generator's sidecar and the storefront's. The
//! difference of the medians is what a pair of sidecars adds, measured under the load of the demo.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use super::load::SHOPBOT;
use crate::http::Connection;
use crate::up::state::RunState;

/// Requests of each kind at a time.
const BURST: usize = 3;

/// Samples of each kind that are kept.
const KEPT: usize = 240;

/// For all requests of one look.
const TIMEOUT: Duration = Duration::from_millis(400);

const HOST: &str = "web-bff";
const PATH: &str = "/healthz";

/// The samples.
#[derive(Debug, Default)]
pub(super) struct Added {
    direct: Side,
    meshed: Side,
}

#[derive(Debug, Default)]
struct Side {
    connection: Option<(SocketAddr, Connection)>,
    samples: VecDeque<Duration>,
}

impl Added {
    /// Takes a few samples, when both ends run.
    pub(super) async fn measure(&mut self, run: &RunState) {
        let ready = |workload: &str| {
            let mut all = run.instances.iter();
            all.find(|instance| instance.ready && instance.workload == workload)
        };
        let (Some(bff), Some(bot)) = (ready(HOST), ready(SHOPBOT)) else {
            return;
        };
        let Some(app) = bff.ports.inbound.first().map(|port| port.app) else {
            return;
        };
        let proxied = format!("http://{HOST}{PATH}");
        self.direct.sample(app, PATH).await;
        self.meshed.sample(bot.ports.outbound, &proxied).await;
    }

    /// The medians, direct and through the mesh, in milliseconds.
    pub(super) fn medians(&self) -> Option<(f64, f64)> {
        Some((self.direct.median()?, self.meshed.median()?))
    }
}

impl Side {
    async fn sample(&mut self, address: SocketAddr, target: &str) {
        let kept = self.connection.take().filter(|(to, _)| *to == address);
        let samples = &mut self.samples;
        let take = async {
            let mut connection = match kept {
                Some((_, connection)) => connection,
                None => Connection::open(address).await?,
            };
            for _ in 0..BURST {
                let began = Instant::now();
                let answer = connection.get(HOST, target, &[]).await?;
                ensure!(answer.status.is_success(), "answered {}", answer.status);
                samples.push_back(began.elapsed());
            }
            Ok(connection) as Result<Connection>
        };
        // A failure is no sample; the next look begins with a new connection.
        if let Ok(Ok(connection)) = tokio::time::timeout(TIMEOUT, take).await {
            self.connection = Some((address, connection));
        }
        while self.samples.len() > KEPT {
            self.samples.pop_front();
        }
    }

    fn median(&self) -> Option<f64> {
        let mut sorted: Vec<Duration> = self.samples.iter().copied().collect();
        sorted.sort();
        sorted
            .get(sorted.len() / 2)
            .map(|median| median.as_secs_f64() * 1000.0)
    }
}
