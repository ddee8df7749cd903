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
    let servers = [
        ("redis", config.redis.server().verification()),
        ("postgres", config.postgres.server().verification().ok().flatten()),
    ];
    for (section, verification) in servers {
        if verification == Some(Verification::Off) {
            tracing::warn!(
                section,
                "the server's certificate is not verified: an attacker in the middle can read and change everything; remove tls.insecure, or write sslmode=verify-full, and set tls.ca"
            );
        }
    }
}
