//! The engine's latency, from its metrics page.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::Latency;

/// The histogram: seconds from the arrival over MQTT to the commit.
const HISTOGRAM: &str = "thicket_latency_seconds";

/// Why there is no latency.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// Not `http://host:port[/path]`.
    #[error("{0:?} is not an address like http://127.0.0.1:9464/metrics")]
    BadUrl(String),
    /// No answer.
    #[error(
        "cannot read the engine's metrics at {url}: {detail}; is the engine running? start it with: thicket run"
    )]
    Unreachable {
        /// The page.
        url: String,
        /// What happened.
        detail: String,
    },
}

/// Reads the quantiles of latency over the engine's life.
pub async fn latency(url: &str) -> Result<Latency, MetricsError> {
    let attempt = tokio::time::timeout(Duration::from_secs(5), get(url)).await;
    let unreachable = |detail: String| MetricsError::Unreachable { url: url.to_owned(), detail };
    let page = attempt.map_err(|_| unreachable("no answer within 5 s".to_owned()))??;
    let buckets = buckets(&page);
    let quantile = |q| quantile(&buckets, q).map(|seconds| seconds * 1e3);
    Ok(Latency { p50: quantile(0.5), p99: quantile(0.99) })
}

async fn get(url: &str) -> Result<String, MetricsError> {
    let rest = url.strip_prefix("http://").ok_or_else(|| MetricsError::BadUrl(url.to_owned()))?;
    let (address, path) = rest.split_once('/').map_or((rest, "metrics"), |(address, path)| (address, path));
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /{path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let unreachable = |detail: String| MetricsError::Unreachable { url: url.to_owned(), detail };
    let answer = exchange.await.map_err(|error| unreachable(error.to_string()))?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(unreachable(format!("it answers {status:?}")));
    }
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

/// The cumulative buckets (upper bound, count) of the histogram, by bound.
fn buckets(page: &str) -> Vec<(f64, f64)> {
    let mut buckets: Vec<(f64, f64)> = page
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(HISTOGRAM)?.strip_prefix("_bucket{")?;
            let (labels, count) = rest.rsplit_once('}')?;
            let bound =
                labels.split(',').find_map(|label| label.trim().strip_prefix("le="))?.trim_matches('"');
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, count.trim().parse().ok()?))
        })
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets
}

/// A quantile by linear interpolation within its bucket, as Prometheus's `histogram_quantile` does it.
fn quantile(buckets: &[(f64, f64)], q: f64) -> Option<f64> {
    let (_, total) = *buckets.last()?;
    if total == 0.0 {
        return None;
    }
    let rank = q * total;
    let index = buckets.iter().position(|&(_, count)| count >= rank)?;
    let (bound, count) = buckets[index];
    let (lower, below) = if index == 0 { (0.0, 0.0) } else { buckets[index - 1] };
    if bound.is_infinite() {
        return (index > 0).then_some(lower);
    }
    Some(if count > below { lower + (bound - lower) * (rank - below) / (count - below) } else { bound })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE thicket_latency_seconds histogram\n\
        thicket_latency_seconds_bucket{le=\"0.005\"} 20\n\
        thicket_latency_seconds_bucket{le=\"0.01\"} 60\n\
        thicket_latency_seconds_bucket{le=\"0.1\"} 99\n\
        thicket_latency_seconds_bucket{le=\"+Inf\"} 100\n\
        thicket_latency_seconds_sum 1.5\n\
        thicket_latency_seconds_count 100\n\
        thicket_append_seconds_bucket{le=\"7\"} 5\n";

    #[test]
    fn quantiles_are_interpolated() {
        let buckets = buckets(PAGE);
        assert_eq!(buckets.len(), 4);
        assert_eq!(quantile(&buckets, 0.5), Some(0.005 + 0.005 * 30.0 / 40.0));
        assert_eq!(quantile(&buckets, 0.1), Some(0.0025));
        assert_eq!(quantile(&buckets, 0.99), Some(0.1));
        // Beyond the last bound nothing is known but that.
        assert_eq!(quantile(&buckets, 0.999), Some(0.1));
    }

    #[test]
    fn without_observations_there_is_no_quantile() {
        assert_eq!(quantile(&buckets(""), 0.5), None);
        assert_eq!(quantile(&[(0.1, 0.0), (f64::INFINITY, 0.0)], 0.5), None);
    }

    #[tokio::test]
    async fn a_page_is_fetched_and_failures_name_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in [format!("HTTP/1.1 200 OK\r\n\r\n{PAGE}"), "HTTP/1.1 503 Busy\r\n\r\n".to_owned()] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        assert_eq!(latency(&url).await.unwrap().p99, Some(100.0));
        assert!(latency(&url).await.unwrap_err().to_string().contains("503 Busy"));
        server.await.unwrap();
        let error = latency(&url).await.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("thicket run"), "{error}");
        assert!(matches!(latency("https://x").await, Err(MetricsError::BadUrl(_))));
    }
}
