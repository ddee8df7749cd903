//! The address of a broker: plain, with TLS, over websockets, or both.

use std::fmt::{Display, Formatter};

use rumqttc::{TlsConfiguration, Transport};
use thicket_connect::{Expected, TlsError, TlsSettings, Verification, with_advice};

/// The address of a broker, and how connections to it are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    scheme: Scheme,
    host: String,
    port: u16,
    /// The path of a websocket, with its leading slash.
    path: String,
    tls: TlsSettings,
}

/// How MQTT packets reach the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Mqtt,
    Mqtts,
    Ws,
    Wss,
}

/// Why an address of a broker cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerAddressError {
    /// The URL has another form.
    #[error(
        "must look like mqtt://host:1883 (or mqtts:// for TLS, ws://host/path for websockets, wss:// for both)"
    )]
    Form,
    /// The URL has a user or a password.
    #[error("has a user or a password; write them as username and password beside it")]
    Credentials,
    /// The URL has a path that only a websocket can have.
    #[error("has a path, which only ws:// and wss:// have")]
    Path,
    /// TLS is configured, but not asked for.
    #[error("is without TLS, but settings of TLS are set; write mqtts:// or wss://, or remove them")]
    TlsNotUsed,
    /// The client library cannot use an IPv6 address with TLS.
    #[error("has an IPv6 address, which cannot be used with TLS; write a host name")]
    Ipv6,
    /// The settings of TLS cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
}

impl Scheme {
    const ALL: [(&str, Self, u16); 5] = [
        ("mqtt://", Self::Mqtt, 1883),
        ("tcp://", Self::Mqtt, 1883),
        ("mqtts://", Self::Mqtts, 8883),
        ("ws://", Self::Ws, 80),
        ("wss://", Self::Wss, 443),
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Mqtt => "mqtt",
            Self::Mqtts => "mqtts",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    const fn has_tls(self) -> bool {
        matches!(self, Self::Mqtts | Self::Wss)
    }
}

impl BrokerAddress {
    /// Parses a URL. A websocket without a path has the path `/mqtt`.
    pub fn new(url: &str, tls: TlsSettings) -> Result<Self, BrokerAddressError> {
        let known = Scheme::ALL
            .into_iter()
            .find_map(|(prefix, scheme, port)| Some((url.strip_prefix(prefix)?, scheme, port)));
        let (rest, scheme, default_port) = known.ok_or(BrokerAddressError::Form)?;
        if rest.contains('@') {
            return Err(BrokerAddressError::Credentials);
        }
        let (server, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let path = match path {
            "" | "/" if scheme.is_websocket() => "/mqtt",
            "/" => "",
            path => path,
        };
        if !path.is_empty() && !scheme.is_websocket() {
            return Err(BrokerAddressError::Path);
        }
        // An IPv6 address has its colons in brackets.
        let port = server.rfind(':').filter(|&colon| server.rfind(']').is_none_or(|end| end < colon));
        let (host, port) = match port {
            Some(colon) => (&server[..colon], server[colon + 1..].parse().ok()),
            None => (server, Some(default_port)),
        };
        let port = port.filter(|&port| port > 0).ok_or(BrokerAddressError::Form)?;
        if host.is_empty() {
            return Err(BrokerAddressError::Form);
        }
        if scheme.has_tls() && host.starts_with('[') {
            return Err(BrokerAddressError::Ipv6);
        }
        if !scheme.has_tls() && !tls.is_empty() {
            return Err(BrokerAddressError::TlsNotUsed);
        }
        Ok(Self { scheme, host: host.to_owned(), port, path: path.to_owned(), tls })
    }

    /// Returns the host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns what is verified about the broker's certificate, `None` without TLS.
    pub fn verification(&self) -> Option<Verification> {
        self.scheme.has_tls().then_some(self.tls.verification)
    }

    /// Returns how a connection is made. Reads the certificates. Each connection reads them again.
    pub fn transport(&self) -> Result<Transport, BrokerAddressError> {
        let tls = || Ok::<_, TlsError>(TlsConfiguration::Rustls(self.tls.client_config()?));
        Ok(match self.scheme {
            Scheme::Mqtt => Transport::Tcp,
            Scheme::Mqtts => Transport::Tls(tls()?),
            Scheme::Ws => Transport::Ws,
            Scheme::Wss => Transport::Wss(tls()?),
        })
    }

    /// Returns the host, as the client library takes it. For a websocket, the library reads host and
    /// port from the URL.
    pub(super) fn server(&self) -> String {
        if self.scheme.is_websocket() { self.to_string() } else { self.host.clone() }
    }

    /// Returns the text of an error of a connection to this address, and what to do.
    pub fn explain(&self, error: &dyn std::error::Error) -> String {
        let expected = if self.scheme.has_tls() { Expected::Tls } else { Expected::Plain };
        with_advice(&thicket_connect::all_causes(error), expected)
    }
}

/// Shows the URL.
impl Display for BrokerAddress {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}{}", self.scheme.name(), self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_the_port_and_the_path_of_its_kind() {
        for (url, shown) in [
            ("mqtt://broker", "mqtt://broker:1883"),
            ("tcp://broker:1/", "mqtt://broker:1"),
            ("mqtt://[::1]", "mqtt://[::1]:1883"),
            ("mqtts://broker", "mqtts://broker:8883"),
            ("ws://broker", "ws://broker:80/mqtt"),
            ("wss://broker/a/b", "wss://broker:443/a/b"),
        ] {
            let address = BrokerAddress::new(url, TlsSettings::default()).expect(url);
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn wrong_urls_are_refused_without_their_password() {
        let ca = TlsSettings { ca: Some("ca.pem".into()), ..TlsSettings::default() };
        for (url, tls, problem) in [
            ("http://broker", TlsSettings::default(), "mqtts:// for TLS"),
            ("mqtt://", TlsSettings::default(), "must look like"),
            ("mqtt://broker:0", TlsSettings::default(), "must look like"),
            ("mqtt://broker:port", TlsSettings::default(), "must look like"),
            ("mqtt://u:secret@broker", TlsSettings::default(), "username and password"),
            ("mqtt://broker/path", TlsSettings::default(), "only ws://"),
            ("mqtts://[::1]", TlsSettings::default(), "IPv6"),
            ("mqtt://broker", ca.clone(), "without TLS"),
            ("ws://broker", ca, "without TLS"),
        ] {
            let error = BrokerAddress::new(url, tls).expect_err(url).to_string();
            assert!(error.contains(problem), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
