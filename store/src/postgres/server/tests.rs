use super::*;

fn tls(url: &str) -> Option<TlsSettings> {
    PostgresServer::from(url).target().expect(url).tls
}

fn problem(url: &str, tls: TlsSettings) -> String {
    let server = PostgresServer::new(url, tls);
    let Err(error) = server.target() else { panic!("{server} is accepted") };
    let text = error.to_string();
    assert!(!format!("{text} {error:?} {server} {server:?}").contains("secret"), "{text} {error:?}");
    text
}

#[test]
fn a_host_that_vanishes_is_noticed_within_seconds_unless_the_url_says_otherwise() {
    let config = |url: &str| PostgresServer::from(url).target().expect(url).config;
    let default = config("postgres://u@h/d?application_name=x");
    assert_eq!(default.get_connect_timeout(), Some(&CONNECT_TIMEOUT));
    assert_eq!(default.get_tcp_user_timeout(), Some(&TCP_USER_TIMEOUT));
    assert_eq!(default.get_keepalives_idle(), KEEPALIVE_IDLE);
    assert_eq!(default.get_keepalives_interval(), Some(KEEPALIVE_INTERVAL));
    assert_eq!(default.get_keepalives_retries(), Some(KEEPALIVE_RETRIES));
    let own = config("postgres://u@h/d?connect_timeout=1&keepalives_idle=2&tcp_user_timeout=3");
    assert_eq!(own.get_connect_timeout(), Some(&Duration::from_secs(1)));
    assert_eq!(own.get_keepalives_idle(), Duration::from_secs(2));
    assert_eq!(own.get_tcp_user_timeout(), Some(&Duration::from_secs(3)));
    assert_eq!(own.get_keepalives_retries(), Some(KEEPALIVE_RETRIES));
}

#[test]
fn modes_mean_what_they_mean_to_libpq() {
    assert_eq!(tls("postgres://u@h/d"), None);
    assert_eq!(tls("postgres://u@h/d?sslmode=disable"), None);
    let verification = |url: &str| tls(url).map(|tls| tls.verification);
    assert_eq!(verification("postgres://u@h/d?sslmode=require"), Some(Verification::Off));
    let with_ca = "postgres://u@h/d?sslmode=require&sslrootcert=ca.pem";
    assert_eq!(verification(with_ca), Some(Verification::Authority));
    assert_eq!(verification("postgres://u@h/d?sslmode=verify-ca"), Some(Verification::Authority));
    assert_eq!(verification("postgres://u@h/d?sslmode=verify-full"), Some(Verification::Full));
    let full = tls("postgresql://u@h/d?application_name=x&sslcert=%2Fc.pem&sslkey=/k.pem&sslrootcert=system");
    let expected =
        TlsSettings { cert: Some("/c.pem".into()), key: Some("/k.pem".into()), ..TlsSettings::default() };
    assert_eq!(full, Some(expected));
}

#[test]
fn settings_without_a_mode_mean_full_verification() {
    let ca = TlsSettings { ca: Some("ca.pem".into()), ..TlsSettings::default() };
    let server = PostgresServer::new("postgres://u@h/d", ca);
    assert_eq!(server.verification().expect("an address"), Some(Verification::Full));
    let off = TlsSettings { verification: Verification::Off, ..TlsSettings::default() };
    let server = PostgresServer::new("postgres://u@h/d", off);
    assert_eq!(server.verification().expect("an address"), Some(Verification::Off));
}

#[test]
fn wrong_addresses_are_refused_without_their_password() {
    let none = TlsSettings::default;
    let ca = || TlsSettings { ca: Some("ca.pem".into()), ..TlsSettings::default() };
    let off = || TlsSettings { verification: Verification::Off, ..TlsSettings::default() };
    for (url, tls, expected) in [
        ("mysql://u:secret@h/d", none(), "must look like postgres://"),
        ("host=h password=secret", none(), "must look like postgres://"),
        ("postgres://u:a?secret=b@h/d", none(), "percent-encode"),
        ("postgres://u:secret@h/d?sslmode=prefer", none(), "sslmode=prefer can be without TLS"),
        ("postgres://u:secret@h/d?sslmode=allow", none(), "sslmode=allow can be without TLS"),
        ("postgres://u:secret@h/d?sslmode=on", none(), "sslmode=on is unknown"),
        ("postgres://u:secret@h/d?sslmode=disable", ca(), "remove them"),
        ("postgres://u:secret@h/d?sslmode=verify-full", off(), "remove one of them"),
        ("postgres://u:secret@h/d?sslrootcert=other.pem", ca(), "say it once"),
        ("postgres://u:secret@h/d?sslcrl=x", none(), "sslcrl"),
        ("postgres://u:secret@h:port/d", none(), "cannot be read"),
    ] {
        let text = problem(url, tls);
        assert!(text.contains(expected), "{url}: {text}");
    }
}
