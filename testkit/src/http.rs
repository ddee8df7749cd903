//! One HTTP request to an engine.

use std::path::Path;
use std::time::Duration;

use ureq::http::Request;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Sends a request on a connection of its own, with a token if there is one. A `body` is sent as
/// JSON. Returns an error if there is no answer within `limit`; an answer with an error status is a
/// [`Response`].
pub(crate) async fn request(
    method: &str,
    url: String,
    token: Option<&str>,
    body: Option<String>,
    limit: Duration,
) -> anyhow::Result<Response> {
    let head = Request::builder().method(method).uri(url);
    let head = match token {
        Some(token) => head.header("authorization", format!("Bearer {token}")),
        None => head,
    };
    let ask = move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(limit));
        let agent = ureq::Agent::from(config.build());
        let answer = match body {
            Some(body) => agent.run(head.header("content-type", "application/json").body(body)?),
            None => agent.run(head.body(())?),
        };
        let mut answer = answer?;
        let body = answer.body_mut().read_to_string()?;
        anyhow::Ok(Response { status: answer.status().as_u16(), body })
    };
    tokio::task::spawn_blocking(ask).await?
}

/// Requests a URL with TLS, and trusts only the CA certificate of this PEM file. Returns an error
/// if the server has another certificate.
pub async fn get_with_tls(url: String, ca: &Path) -> anyhow::Result<Response> {
    let roots = RootCerts::new_with_certs(&[Certificate::from_pem(&std::fs::read(ca)?)?]);
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(thicket_connect::crypto_provider())
        .build();
    let ask = move || {
        let config = ureq::Agent::config_builder().http_status_as_error(false).tls_config(tls).build();
        let mut answer = ureq::Agent::from(config).get(url).call()?;
        let body = answer.body_mut().read_to_string()?;
        anyhow::Ok(Response { status: answer.status().as_u16(), body })
    };
    tokio::task::spawn_blocking(ask).await?
}
