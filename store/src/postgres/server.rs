//! The address of a PostgreSQL database, and whether its connections use TLS.
//!
//! The parameters of the URL are those of libpq. `sslmode`, `sslrootcert`, `sslcert` and `sslkey` are
//! read here, all others by the client library. `sslmode=prefer` and `allow` are refused: with them,
//! a connection could be without TLS, and nobody would notice.

use std::fmt::{Debug, Display, Formatter};
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use thicket_connect::{TlsError, TlsSettings, Verification, without_password};
use tokio_postgres::config::SslMode;

/// How long to wait for a TCP connection to a host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The kernel asks a silent host every few seconds whether it still has the connection. If the host
/// has vanished, the connection ends after 25 s. If it is back, its first answer ends the connection.
/// Linux would begin to ask after 2 hours.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent bytes may remain without an acknowledgement of the other host.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);

/// The address of a database, with its TLS settings. Its text forms hide the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresServer {
    url: String,
    tls: TlsSettings,
}

/// Why an address of PostgreSQL cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresServerError {
    /// The URL has another scheme.
    #[error("must look like postgres://user@host:5432/database")]
    Scheme,
    /// The parameters contain `@`.
    #[error("has an @ after a ?; percent-encode the special characters of the password (? is %3F, @ is %40)")]
    UnencodedPassword,
    /// The URL cannot be parsed.
    #[error("cannot be read: {0} (special characters of a password must be percent-encoded)")]
    Url(String),
    /// A connection with this mode could be without TLS.
    #[error("sslmode={0} can be without TLS unnoticed; write disable, require, verify-ca or verify-full")]
    Unnoticed(String),
    /// The mode is unknown.
    #[error("sslmode={0} is unknown; write disable, require, verify-ca or verify-full")]
    UnknownMode(String),
    /// TLS is configured, but not used.
    #[error("has sslmode=disable, but settings of TLS too; write sslmode=verify-full, or remove them")]
    TlsNotUsed,
    /// A setting is given twice.
    #[error("has {parameter}, and postgres.tls.{key} is set too; say it once")]
    Twice {
        /// The parameter of the URL.
        parameter: &'static str,
        /// The key of the configuration.
        key: &'static str,
    },
    /// The mode verifies, but verification is switched off.
    #[error("has sslmode={0}, but postgres.tls.insecure = true; remove one of them")]
    Contradiction(String),
    /// The settings of TLS cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

/// A parsed address.
pub(super) struct Target {
    pub(super) config: tokio_postgres::Config,
    /// `None` without TLS.
    pub(super) tls: Option<TlsSettings>,
}

impl PostgresServer {
    /// Creates an address: `postgres://…`, with libpq's parameters. `tls` adds to them.
    pub fn new(url: impl Into<String>, tls: TlsSettings) -> Self {
        Self { url: url.into(), tls }
    }

    /// Returns what is verified about the server's certificate, `None` without TLS.
    pub fn verification(&self) -> Result<Option<Verification>, PostgresServerError> {
        Ok(self.target()?.tls.map(|tls| tls.verification))
    }

    /// Returns the file of the private key of the client certificate, `None` without one.
    pub fn private_key(&self) -> Option<PathBuf> {
        self.target().ok()?.tls?.key
    }

    /// Checks the address and the files of certificates.
    pub fn check(&self) -> Result<(), PostgresServerError> {
        self.target()?.tls.map(|tls| tls.client_config()).transpose()?;
        Ok(())
    }

    /// Parses the address.
    pub(super) fn target(&self) -> Result<Target, PostgresServerError> {
        if !self.url.starts_with("postgres://") && !self.url.starts_with("postgresql://") {
            return Err(PostgresServerError::Scheme);
        }
        let (base, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        if query.contains('@') {
            return Err(PostgresServerError::UnencodedPassword);
        }
        let mut tls = self.tls.clone();
        let (mut mode, mut is_system) = (None, false);
        let mut rest = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "sslmode" => mode = Some(value),
                "sslrootcert" if value == "system" => is_system = true,
                "sslrootcert" => set("sslrootcert", "ca", &mut tls.ca, value)?,
                "sslcert" => set("sslcert", "cert", &mut tls.cert, value)?,
                "sslkey" => set("sslkey", "key", &mut tls.key, value)?,
                _ => rest.push(parameter),
            }
        }
        let tls = with_mode(tls, mode, is_system)?;
        let separator = if rest.is_empty() { "" } else { "?" };
        let url = format!("{base}{separator}{}", rest.join("&"));
        let parsed = url.parse::<tokio_postgres::Config>();
        let mut config =
            parsed.map_err(|error| PostgresServerError::Url(thicket_connect::all_causes(&error)))?;
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        set_timeouts(&mut config, &rest);
        Ok(Target { config, tls })
    }
}

/// Sets the timeouts of the connection that the parameters of the URL do not set.
fn set_timeouts(config: &mut tokio_postgres::Config, parameters: &[&str]) {
    let is_free = |name: &str| parameters.iter().all(|parameter| parameter.split('=').next() != Some(name));
    if is_free("connect_timeout") {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if is_free("keepalives_idle") {
        config.keepalives_idle(KEEPALIVE_IDLE);
    }
    if is_free("keepalives_interval") {
        config.keepalives_interval(KEEPALIVE_INTERVAL);
    }
    if is_free("keepalives_retries") {
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    if is_free("tcp_user_timeout") {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
}

/// Applies `sslmode`. Returns `None` for a connection without TLS. `is_system` means that the CA
/// certificates of the system are asked for by name.
fn with_mode(
    mut tls: TlsSettings,
    mode: Option<&str>,
    is_system: bool,
) -> Result<Option<TlsSettings>, PostgresServerError> {
    let is_off = tls.verification == Verification::Off;
    let is_empty = tls.is_empty() && !is_system;
    tls.verification = match mode {
        None | Some("disable") if is_empty => return Ok(None),
        None => tls.verification,
        Some("disable") => return Err(PostgresServerError::TlsNotUsed),
        Some(mode @ ("verify-ca" | "verify-full")) if is_off => {
            return Err(PostgresServerError::Contradiction(mode.to_owned()));
        }
        Some("verify-full") => Verification::Full,
        Some("require") if is_off || (tls.ca.is_none() && !is_system) => Verification::Off,
        // As with libpq: a CA that is named is used.
        Some("require" | "verify-ca") => Verification::Authority,
        Some(mode @ ("prefer" | "allow")) => return Err(PostgresServerError::Unnoticed(mode.to_owned())),
        Some(mode) => return Err(PostgresServerError::UnknownMode(mode.to_owned())),
    };
    Ok(Some(tls))
}

fn set(
    parameter: &'static str,
    key: &'static str,
    setting: &mut Option<PathBuf>,
    value: &str,
) -> Result<(), PostgresServerError> {
    if setting.is_some() {
        return Err(PostgresServerError::Twice { parameter, key });
    }
    *setting = Some(percent_decode_str(value).decode_utf8_lossy().into_owned().into());
    Ok(())
}

impl Display for PostgresServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&without_password(&self.url))
    }
}

impl Debug for PostgresServer {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "PostgresServer({self})")
    }
}

impl From<&str> for PostgresServer {
    fn from(url: &str) -> Self {
        Self::new(url, TlsSettings::default())
    }
}

impl From<&String> for PostgresServer {
    fn from(url: &String) -> Self {
        url.as_str().into()
    }
}

impl From<&PostgresServer> for PostgresServer {
    fn from(server: &PostgresServer) -> Self {
        server.clone()
    }
}

#[cfg(test)]
mod tests;
