//! How much of a server's certificate is verified.

/// What is verified about the server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// The CA, the dates and the name.
    #[default]
    Full,
    /// The CA and the dates. A certificate of the same CA for another host is accepted.
    Authority,
    /// Nothing: the connection is encrypted, but any server is accepted.
    Off,
}
