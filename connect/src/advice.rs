//! What to do when a connection fails.
//!
//! The clients report a failed handshake as a text: most of them drop the typed error, and some show
//! its debug form. The texts here are those of rustls and of the servers. Tests with real servers
//! check each of them.

/// Whether a connection that failed was to use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The address asks for TLS.
    Tls,
    /// The address asks for a connection without TLS.
    Plain,
}

/// Parts of an error with TLS, and what to do. The first part that the error contains counts.
const WITH_TLS: [(&str, &str); 17] = [
    ("CertificateRequired", MISSING_CERTIFICATE),
    ("requires a valid client certificate", MISSING_CERTIFICATE),
    ("UnknownCA", UNTRUSTED_CERTIFICATE),
    ("DecryptError", UNTRUSTED_CERTIFICATE),
    ("CertificateExpired", "the client certificate has expired; renew it"),
    (
        "HandshakeFailure",
        "the server refuses the handshake; it may ask for a client certificate: set tls.cert and tls.key",
    ),
    ("fatal alert", REFUSED),
    ("AlertReceived", REFUSED),
    (
        "server does not support TLS",
        "the server has no TLS; set `ssl = on` in postgresql.conf, or sslmode=disable in the URL",
    ),
    ("handshake eof", NO_TLS),
    ("corrupt message", NO_TLS),
    ("InvalidMessage", NO_TLS),
    ("UnexpectedEof", NO_TLS),
    ("unexpected end of file", NO_TLS),
    ("reset by peer", RESET),
    ("ConnectionReset", RESET),
    // A server without TLS may wait for the rest of what it takes for a request.
    ("timed out", NO_TLS),
];

const MISSING_CERTIFICATE: &str = "the server asks for a client certificate; set tls.cert and tls.key";
const UNTRUSTED_CERTIFICATE: &str = "the server does not trust the client certificate; use one that is signed by the CA that the server trusts";
const REFUSED: &str = "the server refuses the handshake; its log says why";
const NO_TLS: &str = "the server does not answer the handshake; if this port is without TLS, connect to the server's TLS port, or use a URL without TLS";
/// A reset can overtake the alert that would have said more.
const RESET: &str = "the server ends the connection; if this port is without TLS, connect to the server's TLS port; if the server asks for a client certificate, set tls.cert and tls.key";
const MAYBE_TLS: &str = "the server gives no answer that is understood without TLS; if its port expects TLS, use a URL with TLS (mqtts://, wss://, rediss://)";

/// Parts of an error without TLS, and what to do.
const WITHOUT_TLS: [(&str, &str); 4] = [
    ("no encryption", "the server accepts only TLS; add sslmode=verify-full to the URL"),
    ("unexpected end of file", MAYBE_TLS),
    ("ConnectionReset", MAYBE_TLS),
    ("reset by peer", MAYBE_TLS),
];

/// Returns what to do about an error, `None` if its text says enough.
pub fn advice(error: &str, expected: Expected) -> Option<&'static str> {
    let known: &[(&str, &str)] = match expected {
        Expected::Tls => &WITH_TLS,
        Expected::Plain => &WITHOUT_TLS,
    };
    known.iter().find(|(part, _)| error.contains(part)).map(|(_, advice)| *advice)
}

/// Returns the text of an error with what to do about it.
pub fn with_advice(error: &str, expected: Expected) -> String {
    match (refusal(error), advice(error, expected)) {
        (Some(refusal), _) => refusal.to_owned(),
        // The debug form of an error adds nothing to the advice.
        (None, Some(advice)) if error.contains("Custom {") || error.contains("Os {") => advice.to_owned(),
        (None, Some(advice)) => format!("{error}; {advice}"),
        (None, None) => plain(error),
    }
}

/// Returns an error of the operating system in plain words: `Connection refused` instead of
/// `IO Error: Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }`, and the same
/// of `Custom { kind: Uncategorized, error: "…" }`.
fn plain(error: &str) -> String {
    let part = |form: &str, field: &str| {
        let (_, rest) = error.split_once(form)?.1.split_once(field)?;
        Some(rest.split_once('"')?.0)
    };
    let words = part("Os {", "message: \"").or_else(|| part("Custom {", "error: \""));
    words.unwrap_or(error).to_owned()
}

/// Returns the text of an error and of all its causes.
pub fn all_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        cause = next.source();
    }
    text
}

/// Returns why the certificate of a server was refused, from the display or the debug form of the
/// error. `None` if the error has another cause.
pub fn refusal(error: &str) -> Option<&str> {
    if let Some((_, rest)) = error.split_once("OtherError(") {
        return Some(rest.rsplit_once("))").map_or(rest, |(text, _)| text));
    }
    error.split_once("other error: ").map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use std::io::Error as Io;

    use super::{Expected, all_causes, with_advice};

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read a: {0}")]
    struct Repeating(#[from] Io);

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct In<E: std::error::Error + 'static>(&'static str, #[source] E);

    #[test]
    fn no_cause_is_repeated() {
        let error = In("the manifest", Repeating(Io::other("gone")));
        assert_eq!(all_causes(&error), "the manifest: cannot read a: gone");
        assert_eq!(all_causes(&In("b", Io::other("gone"))), "b: gone");
    }

    #[test]
    fn an_error_of_the_operating_system_is_shown_in_plain_words() {
        let error = "IO Error: Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }";
        assert_eq!(with_advice(error, Expected::Plain), "Connection refused");
        let error = "IO Error: Custom { kind: Uncategorized, error: \"failed to lookup address\" }";
        assert_eq!(with_advice(error, Expected::Plain), "failed to lookup address");
        assert_eq!(
            with_advice("database \"a\" does not exist", Expected::Plain),
            "database \"a\" does not exist"
        );
    }
}
