//! E-mail through an SMTP server. The `Message-ID` has the key of the message.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lettre::address::{Address, Envelope};
use lettre::message::{Mailbox, header};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::response::{Category, Code, Severity};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message as Mail, Tokio1Executor};
use thicket_store::complaints;
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_128;

use super::secrets::Secrets;
use super::{SendError, remedy};
use crate::config::{RouteConfig, RouteProblem};
use crate::message::Message;

/// The end of a URL that asks for STARTTLS.
const STARTTLS: &str = "?tls=required";

/// A mail server, and the people to write to.
#[derive(Clone)]
pub struct Email {
    url: String,
    credentials: Option<(String, String)>,
    ca: Option<String>,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    accepted: Arc<Mutex<Accepted>>,
}

/// The recipients for whom a server has accepted a mail that other recipients still wait for. A
/// repeat leaves them out. After a restart, they get the mail again, with the same `Message-ID`.
#[derive(Debug, Default)]
struct Accepted {
    /// The key of the message.
    key: String,
    recipients: BTreeSet<Address>,
}

/// Tells mail servers to answer no notice of absence (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// Without the password.
impl std::fmt::Debug for Email {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Email").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Email {
    pub(super) fn new(config: &RouteConfig) -> Result<Self, RouteProblem> {
        let RouteConfig { url, from, to, .. } = config;
        let address = |key, text: &str| -> Result<Mailbox, RouteProblem> {
            let problem =
                |_| RouteProblem::new(key, format!("{text:?} is no address, such as Ada <ada@example.org>"));
            text.parse().map_err(problem)
        };
        if to.is_empty() {
            return Err(RouteProblem::new("to", "name at least one address"));
        }
        if url.contains('@') {
            return Err(RouteProblem::new(
                "url",
                "has a user or a password; write them as username and password",
            ));
        }
        // The library ignores parameters that it does not know.
        if url.find(['?', '#']).is_some_and(|end| url[end..] != *STARTTLS) {
            let problem = format!("could be without TLS unnoticed; write {STARTTLS}, or no parameter");
            return Err(RouteProblem::new("url", problem));
        }
        let email = Self {
            url: url.clone(),
            credentials: (!config.username.is_empty())
                .then(|| (config.username.clone(), config.password.clone())),
            ca: (!config.ca.is_empty()).then(|| config.ca.clone()),
            from: address("from", from)?,
            to: to.iter().map(|to| address("to", to)).collect::<Result<_, _>>()?,
            timeout: config.timeout,
            accepted: Arc::default(),
        };
        email.transport()?;
        Ok(email)
    }

    /// Returns a connection that is made when the first mail is sent. Reads the certificates.
    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, RouteProblem> {
        const FORM: &str = "must look like smtps://host, smtp://host?tls=required (STARTTLS) or smtp://host";
        let wrong = |_| RouteProblem::new("url", FORM);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&self.url).map_err(wrong)?;
        if let Some(ca) = &self.ca {
            builder = builder.tls(self.tls(ca)?);
        }
        if let Some((username, password)) = &self.credentials {
            builder = builder.credentials(Credentials::new(username.clone(), password.clone()));
        }
        Ok(builder.timeout(Some(self.timeout)).build())
    }

    /// Returns a warning if the password leaves this machine without TLS.
    pub(super) fn warning(&self) -> Option<String> {
        let host = self.host();
        let has_tls = self.url.starts_with("smtps://") || self.url.ends_with(STARTTLS) || self.ca.is_some();
        (self.credentials.is_some() && !has_tls && !is_this_machine(host)).then(|| {
            format!(
                "the password crosses the network to {host} without TLS; write smtps://, or {STARTTLS} behind the host"
            )
        })
    }

    /// Returns the host of the server, with the brackets of an IPv6 address.
    fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        let end = host.rfind(']').map_or_else(|| host.find(':'), |bracket| Some(bracket + 1));
        &host[..end.unwrap_or(host.len())]
    }

    /// Returns TLS with a CA certificate of the user's own.
    fn tls(&self, ca: &str) -> Result<Tls, RouteProblem> {
        let wrong = |error: &dyn std::fmt::Display| RouteProblem::new("ca", format!("{ca}: {error}"));
        let host = self.host().to_owned();
        let pem = std::fs::read(ca).map_err(|error| wrong(&error))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| wrong(&error))?;
        let parameters = TlsParameters::builder(host).add_root_certificate(certificate).build_rustls();
        let parameters = parameters.map_err(|error| wrong(&error))?;
        Ok(if self.url.starts_with("smtps://") {
            Tls::Wrapper(parameters)
        } else {
            Tls::Required(parameters)
        })
    }

    pub(super) async fn send(&self, message: &Message) -> Result<(), SendError> {
        let transport = self.transport().map_err(|problem| SendError::Unavailable(problem.to_string()))?;
        let mail = self.mail(message).map_err(|error| SendError::Refused(error.to_string()))?;
        let (envelope, text) = (mail.envelope(), mail.formatted());
        // A route sends one message at a time.
        let mut accepted = self.accepted.lock().await;
        if accepted.key != message.key {
            *accepted = Accepted { key: message.key.clone(), recipients: BTreeSet::new() };
        }
        let recipients = &mut accepted.recipients;
        if recipients.is_empty() {
            match transport.send_raw(envelope, &text).await {
                Ok(_) => return Ok(()),
                Err(error) if envelope.to().len() == 1 || !error.status().is_some_and(concerns_mail) => {
                    return Err(self.failure(&error));
                }
                // An answer about one recipient has ended the transaction of all.
                Err(_) => {}
            }
        }
        let (mut refused, mut unavailable) = (None, None);
        for to in envelope.to() {
            if recipients.contains(to) {
                continue;
            }
            let to_one = Envelope::new(envelope.from().cloned(), vec![to.clone()]);
            let to_one = to_one.map_err(|error| SendError::Refused(error.to_string()))?;
            let Err(error) = transport.send_raw(&to_one, &text).await else {
                recipients.insert(to.clone());
                continue;
            };
            match self.failure(&error) {
                SendError::Refused(error) => {
                    warn_of_refusal(&message.route, to, &error);
                    refused = Some(error);
                }
                error => unavailable = Some(SendError::Unavailable(format!("{to}: {error}"))),
            }
            if !error.status().is_some_and(concerns_mail) {
                break;
            }
        }
        match (unavailable, refused) {
            (Some(unavailable), _) => Err(unavailable),
            (None, Some(refused)) if recipients.is_empty() => Err(SendError::Refused(refused)),
            (None, _) => Ok(()),
        }
    }

    /// Returns an error without the password, which a server may repeat.
    fn failure(&self, error: &Error) -> SendError {
        let mut secrets = Secrets::default();
        if let Some((_, password)) = &self.credentials {
            secrets.add(password);
        }
        let shown = secrets.shown(&error.to_string());
        if error.status().is_some_and(is_refusal) {
            return SendError::Refused(shown);
        }
        SendError::Unavailable(format!("{shown}{}", remedy(error)))
    }

    fn mail(&self, message: &Message) -> Result<Mail, lettre::error::Error> {
        let id = format!("<thicket-{:032x}@{}>", xxh3_128(message.key.as_bytes()), self.from.email.domain());
        let mut mail = Mail::builder().from(self.from.clone()).subject(&message.title).message_id(Some(id));
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let text = format!(
            "{}\n\n{}\n\nRoute {} of the deployment {}.\n",
            message.title, message.text, message.route, message.deployment
        );
        mail.header(header::MIME_VERSION_1_0)
            .header(AutoSubmitted)
            .header(header::ContentType::TEXT_PLAIN)
            .body(text)
    }
}

fn is_this_machine(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

fn warn_of_refusal(route: &str, recipient: &Address, error: &str) {
    if let Some(repeated) = complaints::due("send an e-mail", &format_args!("{recipient}: {error}")) {
        let recipient = recipient.to_string();
        tracing::warn!(
            error,
            route,
            recipient,
            repeated,
            "a mail server refuses a recipient of a notification"
        );
    }
}

/// Returns whether an answer is about the mail or a recipient: the server may accept the mail for
/// another recipient. It does not while it refuses the login (53x) or ends connections (421).
fn concerns_mail(code: Code) -> bool {
    is_refusal(code) || !matches!(code.category, Category::Connections | Category::Unspecified3)
}

/// Returns whether a server will hardly ever accept a mail that it has answered with this code. A
/// refused login (530, 535) concerns the settings, not the mail.
fn is_refusal(code: Code) -> bool {
    code.severity == Severity::PermanentNegativeCompletion && code.category != Category::Unspecified3
}

#[cfg(test)]
mod tests;
