//! How the connections to the servers are secured, in words.

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
