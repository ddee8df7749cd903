//! Reads the metrics of a running engine, for commands that show them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use prometheus_parse::{Sample, Scrape, Value};
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

    /// Returns the labels of the samples of a gauge that are not 0.
    pub(crate) fn labels_of(&self, metric: &str) -> Vec<BTreeMap<String, String>> {
        let samples = self.scrape.samples.iter().filter(|sample| sample.metric == metric);
        let set = samples.filter(|sample| matches!(sample.value, Value::Gauge(value) if value != 0.0));
        let labels = |sample: &Sample| {
            sample.labels.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        set.map(labels).collect()
    }

    /// Returns a counter or gauge, whole, by one of its labels.
    pub(crate) fn by_label(&self, metric: &str, label: &str) -> BTreeMap<String, u64> {
        let samples = self.scrape.samples.iter().filter(|sample| sample.metric == metric);
        let value = |sample: &Sample| match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(value as u64),
            Value::Histogram(_) | Value::Summary(_) => None,
        };
        samples.filter_map(|sample| Some((sample.labels.get(label)?.to_owned(), value(sample)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP a\na{shard=\"0\"} 3\na{shard=\"1\"} 4\nab 100\n";

    #[test]
    fn samples_are_found_by_their_labels() {
        let text = "# TYPE g gauge\ng{broker=\"a\"} 0\ng{broker=\"b\"} 1\n";
        let samples = Samples::parse(text).unwrap();
        assert_eq!(samples.labels_of("g")[0]["broker"], "b");
        assert_eq!(samples.labels_of("g").len(), 1);
        assert_eq!(samples.by_label("g", "broker"), [("a".to_owned(), 0), ("b".to_owned(), 1)].into());
    }

    #[test]
    fn sums_over_labels_and_only_this_metric() {
        assert!((Samples::parse(TEXT).unwrap().sum("a") - 7.0).abs() < f64::EPSILON);
    }
}
