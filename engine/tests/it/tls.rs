//! TLS to the broker and the stores: what is accepted, and what is refused with which words.

use thicket_testkit::certificates::{Authority, CertificateFiles, Validity};
use thicket_testkit::{Config, TestEnv, TlsFiles};

use crate::support::{BINARY, stdout};

/// Servers with TLS, and the certificates for them.
struct Tls {
    env: TestEnv,
    ca: Authority,
    other_ca: Authority,
    client: CertificateFiles,
}

/// Each server with TLS: its section, the URL, and a URL by another name.
const SECTIONS: [&str; 2] = ["redis", "postgres"];

impl Tls {
    async fn start() -> Self {
        let directory = TestEnv::directory();
        let path = directory.path();
        let ca = Authority::new(path, "ca").unwrap();
        let other_ca = Authority::new(path, "other-ca").unwrap();
        let server = ca.server(path, "localhost", Validity::Now).unwrap();
        let client = ca.client(path, "client", Validity::Now).unwrap();
        let files = TlsFiles { ca: ca.cert.clone(), cert: server.cert, key: server.key };
        let env = TestEnv::start_with_tls(BINARY, TestEnv::config(), directory, files).await;
        Self { env, ca, other_ca, client }
    }

    /// The URLs of the servers by a host name, and the CA of their certificates.
    fn config(&self, host: &str, ca: &Authority) -> Config {
        let servers = &self.env.servers;
        let redis = format!("rediss://{host}:{}", servers.redis.tls_port().unwrap());
        let postgres =
            format!("postgres://thicket@{host}:{}/thicket?sslmode=verify-full", servers.postgres.port());
        let ca = ca.cert.to_str().unwrap();
        let config = TestEnv::config().set("redis.url", redis).set("postgres.url", postgres);
        SECTIONS.iter().fold(config, |config, section| config.set(&format!("{section}.tls.ca"), ca))
    }

    /// The same with a client certificate.
    fn with_client(&self, config: Config, client: &CertificateFiles) -> Config {
        SECTIONS.iter().fold(config, |config, section| {
            config
                .set(&format!("{section}.tls.cert"), client.cert.to_str().unwrap())
                .set(&format!("{section}.tls.key"), client.key.to_str().unwrap())
        })
    }

    /// Runs `check` and returns what it prints.
    fn check(&self, config: &Config) -> String {
        stdout(&self.env.thicket_with(&["check"], config))
    }
}

/// Fails unless each server's line of `check` contains a text.
fn assert_each(printed: &str, begin: &str, part: &str) {
    for server in ["redis", "postgresql"] {
        let line = printed.lines().find(|line| line.starts_with(&format!("{begin}{server}")));
        assert!(line.is_some_and(|line| line.contains(part)), "{server}, {part}:\n{printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_refused_with_what_to_do() {
    let mut tls = Tls::start().await;
    let right = tls.with_client(tls.config("localhost", &tls.ca), &tls.client);
    assert_each(&tls.check(&right), "ok    ", "TLS");
    println!("RIGHT\n{}", tls.check(&right));
    println!("NAME\n{}", tls.check(&tls.with_client(tls.config("127.0.0.1", &tls.ca), &tls.client)));
    println!("CA\n{}", tls.check(&tls.with_client(tls.config("localhost", &tls.other_ca), &tls.client)));
    println!("NOCERT\n{}", tls.check(&tls.config("localhost", &tls.ca)));
    let path = tls.env.path().to_owned();
    let foreign = tls.other_ca.client(&path, "foreign", Validity::Now).unwrap();
    println!("FOREIGN\n{}", tls.check(&tls.with_client(tls.config("localhost", &tls.ca), &foreign)));
    let expired = tls.ca.client(&path, "expired", Validity::Expired).unwrap();
    println!("EXPIREDCLIENT\n{}", tls.check(&tls.with_client(tls.config("localhost", &tls.ca), &expired)));
    let wrong_port =
        right.clone().set("redis.url", format!("rediss://localhost:{}", tls.env.servers.redis.port()));
    println!("TLS to plain\n{}", tls.check(&wrong_port));
    let wrong_port = TestEnv::config()
        .set("redis.url", format!("redis://localhost:{}", tls.env.servers.redis.tls_port().unwrap()))
        .set(
            "postgres.url",
            format!("postgres://nobody@localhost:{}/thicket", tls.env.servers.postgres.port()),
        );
    println!("plain to TLS\n{}", tls.check(&wrong_port));
    tls.ca.server(&path, "localhost", Validity::Expired).unwrap();
    tls.env.servers.redis.restart_on_same_port().unwrap();
    tls.env.servers.postgres.restart_on_same_port().unwrap();
    println!("EXPIRED\n{}", tls.check(&right));
    panic!();
}
