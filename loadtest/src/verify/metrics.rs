//! The engine's latency, from its metrics page.

use std::time::Duration;

use super::report::Latency;
use crate::metrics_page::{MetricsError, MetricsPage};

/// The histogram: seconds from the arrival over MQTT to the commit in PostgreSQL.
const HISTOGRAM: &str = "thicket_ingest_to_commit_seconds";
/// How long the engine may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Fetches the metrics page at `url` and returns the quantiles of its latency histogram.
pub async fn latency(url: &str) -> Result<Latency, MetricsError> {
    let page = MetricsPage::fetch(url, TIMEOUT).await?;
    Ok(latency_of(&page))
}

/// Returns the quantiles of latency since the engine started, in milliseconds.
pub(crate) fn latency_of(page: &MetricsPage) -> Latency {
    let milliseconds = |q| page.quantile(HISTOGRAM, q).map(|seconds| seconds * 1e3);
    Latency { p50: milliseconds(0.5), p99: milliseconds(0.99) }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const PAGE: &str = "# TYPE thicket_ingest_to_commit_seconds histogram\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.005\"} 20\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.01\"} 60\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"0.1\"} 99\n\
        thicket_ingest_to_commit_seconds_bucket{le=\"+Inf\"} 100\n";

    #[tokio::test]
    async fn a_page_is_fetched_and_failures_name_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let busy = "HTTP/1.1 503 Service Unavailable\r\n\r\n".to_owned();
            for answer in [format!("HTTP/1.1 200 OK\r\n\r\n{PAGE}"), busy] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).await.unwrap() > 0);
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        assert_eq!(latency(&url).await.unwrap().p99, Some(100.0));
        let error = latency(&url).await.unwrap_err().to_string();
        assert!(error.contains("503 Service Unavailable"), "{error}");
        server.await.unwrap();
        let error = latency(&url).await.unwrap_err().to_string();
        assert!(error.contains(&url) && error.contains("thicket run"), "{error}");
        assert!(matches!(latency("https://x").await, Err(MetricsError::BadUrl(_))));
    }
}
