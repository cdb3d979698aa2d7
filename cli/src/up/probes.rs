//! Readiness: asks an instance as a kubelet would and says when the answer changes.
//!
//! Probes go to the allocated port, not through the sidecar, so no policy can make an instance
//! unready. One difference from Kubernetes: until the first good answer the question is asked
//! several times a second, since nobody at a laptop waits ten seconds for a service that is up.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::ports::InstancePorts;
use super::workload::{Check, Probe};

/// Between questions until the first good answer.
const EAGER: Duration = Duration::from_millis(100);

/// Counts answers and decides, as Kubernetes' thresholds say. Pure.
#[derive(Debug, Clone)]
pub struct Verdict {
    ready: bool,
    /// Answers in a row that speak against the verdict.
    against: u32,
    successes: u32,
    failures: u32,
}

impl Verdict {
    /// Not ready yet.
    pub fn new(probe: &Probe) -> Self {
        Self {
            ready: false,
            against: 0,
            successes: probe.successes,
            failures: probe.failures,
        }
    }

    /// Takes one answer; whether the instance is ready when that has just changed.
    pub fn answer(&mut self, good: bool) -> Option<bool> {
        if good == self.ready {
            self.against = 0;
            return None;
        }
        self.against += 1;
        let needed = if good { self.successes } else { self.failures };
        if self.against < needed {
            return None;
        }
        self.ready = good;
        self.against = 0;
        Some(good)
    }

    /// Whether the instance is ready.
    pub fn ready(&self) -> bool {
        self.ready
    }
}

/// Asks one instance for as long as it is held.
#[derive(Debug)]
pub struct Prober<'a> {
    probe: &'a Probe,
    ports: &'a InstancePorts,
    verdict: Verdict,
    next: Instant,
    been_ready: bool,
}

impl<'a> Prober<'a> {
    /// Begins with the probe's initial delay.
    pub fn new(probe: &'a Probe, ports: &'a InstancePorts) -> Self {
        Self {
            probe,
            ports,
            verdict: Verdict::new(probe),
            next: Instant::now() + probe.initial_delay,
            been_ready: false,
        }
    }

    /// Waits until readiness changes, and says to what. Cancel safe: yes.
    pub async fn change(&mut self) -> bool {
        loop {
            tokio::time::sleep_until(self.next).await;
            let good = ask(self.probe, self.ports).await;
            let change = self.verdict.answer(good);
            self.been_ready |= good;
            let pause = if self.been_ready {
                self.probe.period
            } else {
                EAGER.min(self.probe.period)
            };
            self.next = Instant::now() + pause;
            if let Some(ready) = change {
                return ready;
            }
        }
    }
}

async fn ask(probe: &Probe, ports: &InstancePorts) -> bool {
    let address = |port: u16| Some(SocketAddr::from(([127, 0, 0, 1], ports.app(port)?)));
    match &probe.check {
        Check::Running => true,
        Check::Connect(port) => {
            let Some(address) = address(*port) else {
                return false;
            };
            let connect = TcpStream::connect(address);
            matches!(
                tokio::time::timeout(probe.timeout, connect).await,
                Ok(Ok(_))
            )
        }
        Check::Get {
            port,
            path,
            headers,
        } => {
            let Some(address) = address(*port) else {
                return false;
            };
            let answer = crate::http::get(address, path, headers, probe.timeout).await;
            answer.is_ok_and(|answer| (200..400).contains(&answer.status.as_u16()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_those_of_kubernetes() {
        let probe = Probe {
            check: Check::Running,
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            successes: 1,
            failures: 3,
        };
        let mut verdict = Verdict::new(&probe);
        let answers = [
            false, true, false, false, true, false, false, false, false, true,
        ];
        let changes: Vec<Option<bool>> = answers.map(|good| verdict.answer(good)).to_vec();
        let mut expected = vec![None; 10];
        expected[1] = Some(true);
        expected[7] = Some(false);
        expected[9] = Some(true);
        assert_eq!(changes, expected);
        assert!(verdict.ready());
    }
}
