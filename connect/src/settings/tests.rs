use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::*;

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}

fn problem(settings: &TlsSettings) -> String {
    settings.client_config().expect_err("settings that cannot be used").to_string()
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = KeyPair::generate().expect("a key");
    let other = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::default().self_signed(&key).expect("a certificate");
    let cert = Some(write(directory.path(), "cert.pem", &certificate.pem()));
    let good = Some(write(directory.path(), "key.pem", &key.serialize_pem()));
    let foreign = Some(write(directory.path(), "foreign.pem", &other.serialize_pem()));
    let text = Some(write(directory.path(), "text.pem", "no PEM at all"));
    let ca = cert.clone();
    let settings = TlsSettings { ca, cert, key: good, ..TlsSettings::default() };
    settings.client_config().expect("usable files");

    let missing = TlsSettings { ca: Some("/no/ca.pem".into()), ..TlsSettings::default() };
    assert!(problem(&missing).contains("/no/ca.pem") && problem(&missing).contains("check its path"));
    let empty = TlsSettings { ca: text.clone(), ..TlsSettings::default() };
    assert!(problem(&empty).contains("text.pem holds no certificate"), "{}", problem(&empty));
    let no_key = TlsSettings { key: text, ..settings.clone() };
    assert!(problem(&no_key).contains("text.pem holds no private key"), "{}", problem(&no_key));
    let mismatch = TlsSettings { key: foreign, ..settings.clone() };
    assert!(problem(&mismatch).contains("does not fit the certificate"), "{}", problem(&mismatch));
    let half = TlsSettings { key: None, ..settings.clone() };
    assert!(problem(&half).contains("tls.cert is set, but tls.key is not"), "{}", problem(&half));
    let name = TlsSettings { server_name: Some("no name".into()), ..settings };
    assert!(problem(&name).contains("tls.server_name"), "{}", problem(&name));
}
