//! A blocking HTTP GET, for the engine's own pages. Callers on an async runtime use
//! `spawn_blocking`.

use std::time::Duration;

use ureq::{Agent, http::StatusCode};

/// Why a page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// The server did not answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The server answered with another status than 200.
    #[error("it answers {0}")]
    Status(StatusCode),
    /// The connection failed, or the answer is not HTTP.
    #[error("{0}")]
    Failed(ureq::Error),
}

/// Returns the body of the page at `url`. Every call opens a connection of its own and ignores
/// the proxy settings of the environment.
pub(crate) fn get(url: &str, timeout: Duration) -> Result<String, HttpError> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let failed = |error| match error {
        ureq::Error::Timeout(_) => HttpError::Timeout(timeout),
        other => HttpError::Failed(other),
    };
    let mut response = agent.get(url).header("Connection", "close").call().map_err(failed)?;
    if response.status() != StatusCode::OK {
        return Err(HttpError::Status(response.status()));
    }
    response.body_mut().read_to_string().map_err(failed)
}
