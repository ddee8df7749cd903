//! The broker's address, as a URL.

use std::{fmt, str::FromStr};

use thicket_connect::without_password;

/// The address of an MQTT broker: `mqtt://[user[:password]@]host[:port]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Broker {
    /// Host name or IP address.
    pub host: String,
    /// Port; 1883 by default.
    pub port: u16,
    /// User and password as written in the URL, without percent-decoding.
    pub login: Option<(String, String)>,
}

impl FromStr for Broker {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let bad = || {
            let shown = if url.contains('@') { without_password(url) } else { url.to_owned() };
            format!("{shown:?} is not an MQTT address like mqtt://localhost:1883 (without TLS)")
        };
        let rest = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("tcp://")).ok_or_else(bad)?;
        let rest = rest.trim_end_matches('/');
        let (login, address) = match rest.rsplit_once('@') {
            Some((login, address)) => {
                let (user, password) = login.split_once(':').unwrap_or((login, ""));
                (Some((user.to_owned(), password.to_owned())), address)
            }
            None => (None, rest),
        };
        // An IPv6 address has its colons in brackets; a port follows the closing bracket.
        let port_at =
            address.rfind(':').filter(|&colon| address.rfind(']').is_none_or(|bracket| bracket < colon));
        let (host, port) = match port_at {
            Some(colon) => (&address[..colon], address[colon + 1..].parse().map_err(|_| bad())?),
            None => (address, 1_883),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || port == 0 {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port, login })
    }
}

/// Shows the address without user and password.
impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "mqtt://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "mqtt://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood() {
        let parse = |url: &str| url.parse::<Broker>().map(|broker| (broker.host, broker.port, broker.login));
        assert_eq!(parse("mqtt://localhost:1884"), Ok(("localhost".into(), 1884, None)));
        assert_eq!(parse("mqtt://broker/"), Ok(("broker".into(), 1883, None)));
        assert_eq!(parse("tcp://[::1]:1884"), Ok(("::1".into(), 1884, None)));
        assert_eq!(parse("mqtt://[::1]"), Ok(("::1".into(), 1883, None)));
        let login = Some(("edge".to_owned(), "p@ss:word".to_owned()));
        assert_eq!(parse("mqtt://edge:p@ss:word@broker:1"), Ok(("broker".into(), 1, login)));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        for url in
            ["localhost", "http://localhost", "mqtt://", "mqtt://host:port", "mqtt://host:0", "mqtt://:1883"]
        {
            assert!(url.parse::<Broker>().unwrap_err().contains(url), "{url}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let broker: Broker = "mqtt://edge:secret@[::1]:1".parse().unwrap();
        assert_eq!(format!("{broker} {broker:?}"), "mqtt://[::1]:1 mqtt://[::1]:1");
        let error = "mqtts://edge:secret@broker".parse::<Broker>().unwrap_err();
        assert!(!error.contains("secret") && error.contains("without TLS"), "{error}");
    }
}
