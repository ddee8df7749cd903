//! Reads the metrics of a running engine, for commands that show them.

use std::net::SocketAddr;
use std::time::Duration;

use prometheus_parse::{Scrape, Value};
use ureq::Agent;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The samples of one scrape.
#[derive(Debug)]
pub(crate) struct Samples {
    scrape: Scrape,
}

/// Scrapes `/metrics` of the engine at an address.
pub(crate) async fn scrape(address: SocketAddr) -> anyhow::Result<Samples> {
    let text = tokio::task::spawn_blocking(move || get(address, "/metrics")).await??;
    Samples::parse(&text)
}

/// Returns the body of a page of the engine. A status other than 2xx is an error. The proxy
/// settings of the environment are ignored.
fn get(address: SocketAddr, path: &str) -> Result<String, ureq::Error> {
    let agent: Agent = Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).build().into();
    agent.get(format!("http://{address}{path}")).call()?.body_mut().read_to_string()
}

impl Samples {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Ok(Self { scrape: Scrape::parse(lines)? })
    }

    /// Returns the sum of a counter or gauge over all its labels; 0 if the page does not have it.
    pub(crate) fn sum(&self, metric: &str) -> f64 {
        let samples = self.scrape.samples.iter().filter(|sample| sample.metric == metric);
        let values = samples.filter_map(|sample| match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(value),
            Value::Histogram(_) | Value::Summary(_) => None,
        });
        // The sum of no samples is −0.0, which would be shown as "-0".
        values.sum::<f64>() + 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a\na{shard=\"0\"} 3\na{shard=\"1\"} 4\nab 100\n";

    #[test]
    fn sums_over_labels_and_only_this_metric() {
        assert!((Samples::parse(TEXT).unwrap().sum("a") - 7.0).abs() < f64::EPSILON);
    }
}
