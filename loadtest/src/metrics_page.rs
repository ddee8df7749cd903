//! The engine's metrics page, in the text format of Prometheus: fetches it, sums counters and
//! computes quantiles of histograms.

use std::time::Duration;

use prometheus_parse::{HistogramCount, Scrape, Value};

use crate::http;

/// Why the metrics page cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The URL is not `http://host:port[/path]`.
    #[error("{0:?} is not an address like http://127.0.0.1:9464/metrics")]
    BadUrl(String),
    /// The engine does not answer, or answers with an error.
    #[error(
        "cannot read the engine's metrics at {url}: {detail}; is the engine running? start it \
         with: thicket run"
    )]
    Unreachable {
        /// The URL of the page.
        url: String,
        /// The failure.
        detail: String,
    },
}

/// The samples of one scrape.
#[derive(Debug)]
pub struct MetricsPage {
    scrape: Scrape,
}

impl MetricsPage {
    /// Fetches the page at `url`. A URL without a path means `/metrics`.
    pub async fn fetch(url: &str, timeout: Duration) -> Result<Self, MetricsError> {
        let rest = url.strip_prefix("http://").ok_or_else(|| MetricsError::BadUrl(url.to_owned()))?;
        let page_url = if rest.contains('/') { url.to_owned() } else { format!("{url}/metrics") };
        let unreachable = |detail| MetricsError::Unreachable { url: url.to_owned(), detail };
        let text = tokio::task::spawn_blocking(move || http::get(&page_url, timeout))
            .await
            .map_err(|error| unreachable(error.to_string()))?
            .map_err(|error| unreachable(error.to_string()))?;
        Self::parse(&text).map_err(|error| unreachable(error.to_string()))
    }

    /// Parses the text of a page.
    fn parse(text: &str) -> std::io::Result<Self> {
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        Ok(Self { scrape: Scrape::parse(lines)? })
    }

    /// Returns the sum of a counter or gauge over all its labels; 0 if the page does not have it.
    pub fn sum(&self, metric: &str) -> f64 {
        let samples = self.scrape.samples.iter().filter(|sample| sample.metric == metric);
        let values = samples.filter_map(|sample| match sample.value {
            Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value) => Some(value),
            Value::Histogram(_) | Value::Summary(_) => None,
        });
        // The sum of no samples is −0.0, which would be shown as "-0".
        values.sum::<f64>() + 0.0
    }

    /// Returns a quantile of a histogram, as [`quantile`] computes it.
    pub fn quantile(&self, histogram: &str, q: f64) -> Option<f64> {
        quantile(&self.buckets(histogram), q)
    }

    /// Returns the cumulative buckets of a histogram, summed over all its labels, by upper bound.
    fn buckets(&self, histogram: &str) -> Vec<HistogramCount> {
        let mut buckets: Vec<HistogramCount> = Vec::new();
        let samples = self.scrape.samples.iter().filter(|sample| sample.metric == histogram);
        for sample in samples {
            let Value::Histogram(counts) = &sample.value else { continue };
            for count in counts {
                let same_bound =
                    |bucket: &&mut HistogramCount| bucket.less_than.total_cmp(&count.less_than).is_eq();
                match buckets.iter_mut().find(same_bound) {
                    Some(bucket) => bucket.count += count.count,
                    None => buckets.push(count.clone()),
                }
            }
        }
        buckets.sort_by(|a, b| a.less_than.total_cmp(&b.less_than));
        buckets
    }
}

/// Returns the `q`-quantile of cumulative buckets by linear interpolation within a bucket, as
/// Prometheus's `histogram_quantile` does it. Returns `None` without observations.
fn quantile(buckets: &[HistogramCount], q: f64) -> Option<f64> {
    let total = buckets.last()?.count;
    if total == 0.0 {
        return None;
    }
    let rank = q * total;
    let index = buckets.iter().position(|bucket| bucket.count >= rank)?;
    let HistogramCount { less_than: upper, count } = buckets[index];
    let (lower, below) = match index.checked_sub(1).map(|previous| &buckets[previous]) {
        Some(previous) => (previous.less_than, previous.count),
        None => (0.0, 0.0),
    };
    if upper.is_infinite() {
        return (index > 0).then_some(lower);
    }
    let interpolated = lower + (upper - lower) * (rank - below) / (count - below);
    Some(if count > below { interpolated } else { upper })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE thicket_ingest_to_commit_seconds histogram\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.005\"} 20\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.01\"} 60\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.1\"} 99\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"+Inf\"} 100\n\
        thicket_ingest_to_commit_seconds_sum 1.5\n\
        thicket_ingest_to_commit_seconds_count 100\n\
        thicket_append_seconds_bucket{le=\"7\"} 5\n\
        # HELP a\na{shard=\"0\"} 3\na{shard=\"1\"} 4\nab 100\n\
        # TYPE h histogram\nh_bucket{le=\"1\"} 50\nh_bucket{le=\"2\"} 100\nh_bucket{le=\"+Inf\"} 100\n";

    #[test]
    fn quantiles_are_interpolated() {
        let page = MetricsPage::parse(PAGE).unwrap();
        let buckets = page.buckets("thicket_ingest_to_commit_seconds");
        assert_eq!(buckets.len(), 4);
        assert_eq!(quantile(&buckets, 0.5), Some(0.005 + 0.005 * 30.0 / 40.0));
        assert_eq!(quantile(&buckets, 0.1), Some(0.0025));
        assert_eq!(quantile(&buckets, 0.99), Some(0.1));
        // The last finite bound is all that is known of higher quantiles.
        assert_eq!(quantile(&buckets, 0.999), Some(0.1));
        assert_eq!(page.quantile("h", 0.5), Some(1.0));
        assert_eq!(page.quantile("h", 0.75), Some(1.5));
        assert_eq!(page.quantile("none", 0.5), None);
    }

    #[test]
    fn without_observations_there_is_no_quantile() {
        assert_eq!(MetricsPage::parse("").unwrap().quantile("thicket_ingest_to_commit_seconds", 0.5), None);
        let empty = [0.1, f64::INFINITY].map(|less_than| HistogramCount { less_than, count: 0.0 });
        assert_eq!(quantile(&empty, 0.5), None);
    }

    #[test]
    fn sums_over_labels_and_only_this_metric() {
        let page = MetricsPage::parse(PAGE).unwrap();
        assert!((page.sum("a") - 7.0).abs() < f64::EPSILON);
        assert!(page.sum("none").is_sign_positive());
    }
}
