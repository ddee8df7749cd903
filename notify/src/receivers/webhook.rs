//! HTTP POST. The header `Idempotency-Key` has the key of the message.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rustls::crypto::ring;
use thicket_connect::TlsSettings;
use ureq::http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::secrets::Secrets;
use super::{SendError, remedy};
use crate::config::{RouteConfig, RouteProblem, Shape};
use crate::message::Message;
use crate::template::{Extras, Template};

/// Bytes of an error page that are read.
const ERROR_PAGE: u64 = 4_096;
/// Alertmanager ends an alert without an end by itself. An anomaly that goes on ends far in the
/// future.
const FAR: &str = "9999-01-01T00:00:00Z";

/// A webhook.
#[derive(Clone)]
pub struct Webhook {
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    ca: Option<PathBuf>,
    /// The shape; `None` with a template of the user's own.
    shape: Option<Shape>,
    template: Template,
    token: String,
    topic: String,
}

/// Without the path of the URL and the token, which are secret.
impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host()).finish_non_exhaustive()
    }
}

impl Webhook {
    pub(super) fn new(config: &RouteConfig) -> Result<Self, RouteProblem> {
        let RouteConfig { shape, token, .. } = config;
        let url = config.url.as_str();
        let wrong_url = || RouteProblem::new("url", "must look like https://host/path");
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(wrong_url());
        }
        // ntfy takes JSON at its root, and the topic in the body.
        let (url, topic) = match url.trim_end_matches('/').rsplit_once('/') {
            Some((root, topic)) if *shape == Shape::Ntfy && !root.ends_with('/') => (root, topic),
            _ if *shape == Shape::Ntfy => {
                return Err(RouteProblem::new("url", "must end with the topic: https://ntfy.sh/TOPIC"));
            }
            _ => (url, ""),
        };
        let url: Uri = url.parse().map_err(|_| wrong_url())?;
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            let problem = "has a user or a password; write them as headers = { authorization = \"Basic BASE64\" } \
                           (printf %s 'USER:PASSWORD' | base64 -w0)";
            return Err(RouteProblem::new("url", problem));
        }
        if *shape == Shape::Pagerduty && token.is_empty() {
            return Err(RouteProblem::new("token", "set it to the integration key of the service"));
        }
        let template = Template::new(&config.template, *shape)
            .map_err(|error| RouteProblem::new("template", format!("cannot be used: {error:#}")))?;
        let webhook = Self {
            url,
            headers: headers(config)?,
            ca: (!config.ca.is_empty()).then(|| config.ca.clone().into()),
            shape: config.template.is_empty().then_some(*shape),
            template,
            token: token.clone(),
            topic: topic.to_owned(),
        };
        webhook.authorities().map_err(|error| RouteProblem::new("ca", error))?;
        Ok(webhook)
    }

    /// Returns the CA certificates to trust; `None` without TLS.
    fn authorities(&self) -> Result<Option<Vec<Certificate<'static>>>, thicket_connect::TlsError> {
        if self.url.scheme_str() != Some("https") {
            return Ok(None);
        }
        let settings = TlsSettings { ca: self.ca.clone(), ..TlsSettings::default() };
        let authorities = settings.authorities()?;
        Ok(Some(authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect()))
    }

    /// Returns whether the receiver shows one state of each sensor.
    pub(super) fn shows_states(&self) -> bool {
        self.shape == Some(Shape::Alertmanager)
    }

    pub(super) async fn send(&self, message: &Message, limit: Duration) -> Result<(), SendError> {
        // PagerDuty ignores the end of an incident that it does not know.
        if self.shape == Some(Shape::Pagerduty)
            && let Some(begin) = message.as_begin()
        {
            self.send_one(&begin, limit).await?;
        }
        self.send_one(message, limit).await
    }

    async fn send_one(&self, message: &Message, limit: Duration) -> Result<(), SendError> {
        let extras = Extras { token: &self.token, topic: &self.topic, far: FAR };
        let body = self.template.render(message, extras);
        let body = body.map_err(|error| SendError::Refused(format!("the template fails: {error:#}")))?;
        let mut request = Request::post(self.url.clone()).header("idempotency-key", &message.key);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| SendError::Refused(error.to_string()))?;
        // The certificates are read again, so that renewed ones need no restart.
        let authorities = self.authorities().map_err(|error| SendError::Unavailable(error.to_string()))?;
        let posted = tokio::task::spawn_blocking(move || post(request, authorities, limit)).await;
        let posted = posted.unwrap_or_else(|error| Err(SendError::Unavailable(error.to_string())));
        posted.map_err(|error| match error {
            SendError::Unavailable(text) => SendError::Unavailable(self.shown(&text)),
            SendError::Refused(text) => SendError::Refused(self.shown(&text)),
            SendError::Later(wait) => SendError::Later(wait),
        })
    }

    /// Returns the beginning of an error's text, without secrets and control characters.
    fn shown(&self, text: &str) -> String {
        let mut secrets = Secrets::default();
        secrets.add(&self.token);
        secrets.add(&self.topic);
        secrets.add_with_parts(self.url.path().trim_matches('/'), |character| character == '/');
        secrets
            .add_with_parts(self.url.query().unwrap_or_default(), |character| matches!(character, '&' | '='));
        let headers = self.headers.iter().filter(|(name, _)| name != "content-type");
        for value in headers.filter_map(|(_, value)| value.to_str().ok()) {
            secrets.add_with_parts(value, char::is_whitespace);
        }
        secrets.shown(text)
    }
}

fn headers(config: &RouteConfig) -> Result<Vec<(HeaderName, HeaderValue)>, RouteProblem> {
    let mut headers = Vec::new();
    let secret = |key, text: &str| {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| RouteProblem::new(key, "has characters that a header cannot have"))?;
        value.set_sensitive(true);
        Ok(value)
    };
    headers.push((HeaderName::from_static("content-type"), secret("content_type", &config.content_type)?));
    if !config.token.is_empty() && config.shape != Shape::Pagerduty {
        let value = secret("token", &format!("Bearer {}", config.token))?;
        headers.push((HeaderName::from_static("authorization"), value));
    }
    for (name, text) in &config.headers {
        let name: HeaderName = name
            .parse()
            .map_err(|_| RouteProblem::new("headers", format!("{name:?} is no name of a header")))?;
        headers.push((name, secret("headers", text)?));
    }
    Ok(headers)
}

fn post(
    request: Request<String>,
    authorities: Option<Vec<Certificate<'static>>>,
    limit: Duration,
) -> Result<(), SendError> {
    let mut config = Agent::config_builder()
        .timeout_global(Some(limit))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent("thicket");
    if let Some(authorities) = authorities {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(authorities)))
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()));
        config = config.tls_config(tls.build());
    }
    let agent: Agent = config.build().into();
    let answer = agent.run(request).map_err(|error| match error {
        ureq::Error::Io(error) => SendError::Unavailable(format!("{error}{}", remedy(&error))),
        ureq::Error::Timeout(_) => {
            SendError::Unavailable(format!("no answer within {} s (timeout)", limit.as_secs_f64()))
        }
        error => SendError::Unavailable(format!("{error}{}", remedy(&error))),
    })?;
    verdict(answer)
}

/// Decides by the status of an answer.
fn verdict(mut answer: Response<Body>) -> Result<(), SendError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let wait = answer.headers().get("retry-after").and_then(|wait| wait_of(wait.to_str().ok()?, Utc::now()));
    if let (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(wait)) = (status, wait) {
        return Err(SendError::Later(wait));
    }
    if status.is_redirection() {
        let text = format!("HTTP {status}: the address has moved; set url to the new one");
        return Err(SendError::Unavailable(text));
    }
    let mut page = Vec::new();
    // What was read before an error is the best that there is.
    let _ = answer.body_mut().as_reader().take(ERROR_PAGE).read_to_end(&mut page);
    let page = String::from_utf8_lossy(&page);
    let remedy = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => " (check token and url)",
        StatusCode::NOT_FOUND => " (check url)",
        _ => "",
    };
    let page = page.trim();
    let said = if page.is_empty() { String::new() } else { format!(": {page}") };
    let text = format!("HTTP {status}{remedy}{said}");
    match status.as_u16() {
        400 | 405 | 406 | 410 | 411 | 413 | 414 | 415 | 422 => Err(SendError::Refused(text)),
        _ => Err(SendError::Unavailable(text)),
    }
}

/// Returns how long the header `Retry-After` asks to wait: seconds, or a date (RFC 9110).
fn wait_of(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests;
