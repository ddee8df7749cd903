//! How the connections to the servers, and those of clients, are secured, in words.

use thicket_connect::Verification;

use crate::config::Config;

/// Returns how a connection is secured. `None` means that it is without TLS.
pub(crate) fn describe(verification: Option<Verification>) -> &'static str {
    match verification {
        None => "without TLS",
        Some(Verification::Full) => "TLS",
        Some(Verification::Authority) => "TLS that does not verify the server's name",
        Some(Verification::Off) => "TLS that accepts any server",
    }
}

/// Warns of each connection that accepts any server.
pub(crate) fn warn_of_unverified(config: &Config) {
    let brokers = config.mqtt.iter().map(|mqtt| {
        let verification = mqtt.broker.address().ok().and_then(|address| address.verification());
        (mqtt.broker.label(), verification)
    });
    let stores = [
        ("redis".to_owned(), config.redis.server().verification()),
        ("postgresql".to_owned(), config.postgres.server().verification().ok().flatten()),
    ];
    for (server, verification) in brokers.chain(stores) {
        if verification == Some(Verification::Off) {
            tracing::warn!(
                server,
                "the server's certificate is not verified: an attacker in the middle can read and change everything; remove tls.insecure, or write sslmode=verify-full, and set tls.ca"
            );
        }
    }
}

/// Warns of an HTTP server that other machines reach without a token or without TLS.
pub(crate) fn warn_of_open_http(config: &Config) {
    let http = &config.http;
    if http.listen.ip().is_loopback() {
        return;
    }
    let (listen, has_token) = (http.listen, !http.read_token_file.as_os_str().is_empty());
    match (has_token, http.tls.is_on()) {
        (true, true) => {}
        (false, _) => tracing::warn!(
            %listen,
            "other machines can read the anomalies without a token; set http.read_token_file, or let http.listen be 127.0.0.1"
        ),
        (true, false) => tracing::warn!(
            %listen,
            "tokens and answers cross the network without TLS; set http.tls, or let http.listen be 127.0.0.1"
        ),
    }
}
