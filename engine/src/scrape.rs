//! Reads the metrics of a running engine, for commands that show them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_parse::{Sample, Scrape, Value};
use ureq::Agent;
use ureq::tls::TlsConfig;

use crate::config::HttpConfig;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The samples of one scrape.
#[derive(Debug)]
pub(crate) struct Samples {
    scrape: Scrape,
}

/// Scrapes `/metrics` of the engine of a configuration.
pub(crate) async fn scrape(http: &HttpConfig) -> anyhow::Result<Samples> {
    let Page { status, body } = page(http, "/metrics").await?;
    anyhow::ensure!(status == 200, "/metrics answers with the status {status}");
    Samples::parse(&body)
}

/// A page of the engine.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Requests a page of the engine of a configuration. The proxy settings of the environment are
/// ignored.
pub(crate) async fn page(http: &HttpConfig, path: &str) -> anyhow::Result<Page> {
    let scheme = if http.tls.is_on() { "https" } else { "http" };
    let url = format!("{scheme}://{}{path}", http.listen);
    let page = tokio::task::spawn_blocking(move || get(&url)).await?;
    page.with_context(|| format!("no engine answers at http.listen {}", http.listen))
}

fn get(url: &str) -> Result<Page, ureq::Error> {
    // The certificate is for the name of the server, and this is its address on this machine. No
    // secret is sent.
    let tls = TlsConfig::builder()
        .disable_verification(true)
        .unversioned_rustls_crypto_provider(thicket_connect::crypto_provider())
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .proxy(None)
        .http_status_as_error(false)
        .tls_config(tls)
        .build()
        .into();
    let mut answer = agent.get(url).call()?;
    Ok(Page { status: answer.status().as_u16(), body: answer.body_mut().read_to_string()? })
}

impl Samples {
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
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
