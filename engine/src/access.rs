//! Which requests of the API are answered: the name of the host, the origin, and the token.
//!
//! A page in an operator's browser can send requests to this server. Its requests have a foreign
//! `Origin`, or, if its name was resolved to this machine (DNS rebinding), a foreign `Host`.

use std::net::IpAddr;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN};
use sha2::{Digest as _, Sha256};

/// The digest of a token. Digests are compared, so that the time of a comparison tells nothing about
/// the token.
type TokenDigest = [u8; 32];

/// The rules of access to the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Names of this server in addition to addresses and `localhost`, in lower case.
    pub(crate) hosts: Vec<String>,
    /// The token that may read; `None`: a request needs none.
    pub(crate) read: Option<TokenDigest>,
    /// The token that may also change labels; `None`: no request may.
    pub(crate) operate: Option<TokenDigest>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// `Host` is missing, or is no name of this server.
    #[error("the header Host names another server; add the name to http.hosts")]
    Host,
    /// The request comes from a page of another server.
    #[error("the header Origin names another server")]
    Origin,
    /// The token is missing or wrong.
    #[error("send the token of http.{0} as `Authorization: Bearer TOKEN`")]
    Token(&'static str),
    /// No token may do this.
    #[error("this server is read-only; set http.operate_token_file, or use `thicket anomalies label`")]
    ReadOnly,
}

impl Refusal {
    /// Returns the status of the answer.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin | Self::ReadOnly => StatusCode::FORBIDDEN,
            Self::Token(_) => StatusCode::UNAUTHORIZED,
        }
    }
}

/// Returns the digest of a token.
pub(crate) fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

impl Access {
    /// Checks a request to the API. `changes`: it changes something.
    pub(crate) fn check(&self, headers: &HeaderMap, changes: bool) -> Result<(), Refusal> {
        let host = text(headers, &HOST).ok_or(Refusal::Host)?;
        if !self.is_own_name(host) {
            return Err(Refusal::Host);
        }
        if headers.contains_key(ORIGIN) && text(headers, &ORIGIN).and_then(host_of_origin) != Some(host) {
            return Err(Refusal::Origin);
        }
        let credentials = text(headers, &AUTHORIZATION).and_then(|value| value.split_once(' '));
        let token =
            credentials.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let token = token.map(|token| digest(token.trim()));
        let is_operator = self.operate.is_some() && token == self.operate;
        match (changes, self.operate, self.read) {
            (true, None, _) => Err(Refusal::ReadOnly),
            (true, Some(_), _) if !is_operator => Err(Refusal::Token("operate_token_file")),
            (false, _, Some(_)) if !is_operator && token != self.read => {
                Err(Refusal::Token("read_token_file"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a value of `Host` names this server. No name that an attacker owns is an address.
    fn is_own_name(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        name == "localhost" || address.parse::<IpAddr>().is_ok() || self.hosts.contains(&name)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn host_of_origin(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, host)| host)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests;
