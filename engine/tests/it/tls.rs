//! TLS to the broker and the stores: what is accepted, what is refused with which words, and an
//! engine that goes on after CA and certificates are replaced.

use std::path::PathBuf;

use thicket_testkit::certificates::{Authority, CertificateFiles, Validity};
use thicket_testkit::{Config, TestEnv, TlsFiles, broker_login};

use crate::support::{BINARY, stdout};

/// The sections of the servers, and their names in the output of `check`.
const SERVERS: [(&str, &str); 3] = [("redis", "redis"), ("postgres", "postgresql"), ("mqtt", "mqtt")];

/// Servers with TLS that require client certificates, and the certificates for them.
struct Tls {
    env: TestEnv,
    ca: Authority,
    client: CertificateFiles,
}

impl Tls {
    async fn start(base: Config) -> Self {
        let directory = TestEnv::directory();
        let path = directory.path();
        let ca = Authority::new(path, "ca").unwrap();
        let server = ca.server(path, "localhost", Validity::Now).unwrap();
        let client = ca.client(path, "client", Validity::Now).unwrap();
        let files = TlsFiles { ca: ca.cert.clone(), cert: server.cert, key: server.key };
        let env = TestEnv::start_with_tls(BINARY, base, directory, files).await;
        Self { env, ca, client }
    }

    fn path(&self) -> PathBuf {
        self.env.path().to_owned()
    }

    /// Sets the URLs with TLS, by a name of the host, and the CA of the servers.
    fn config(&self, host: &str, ca: &Authority) -> Config {
        let servers = &self.env.servers;
        let postgres = servers.postgres.port();
        let config = self
            .env
            .base()
            .set(
                "redis.url",
                format!("rediss://:{}@{host}:{}", broker_login().1, servers.redis.tls_port().unwrap()),
            )
            .set("postgres.url", format!("postgres://thicket@{host}:{postgres}/thicket?sslmode=verify-full"))
            .set("mqtt.url", format!("mqtts://{host}:{}", servers.mosquitto.tls_port().unwrap()));
        let ca = ca.cert.to_str().unwrap();
        SERVERS.iter().fold(config, |config, (section, _)| config.set(&format!("{section}.tls.ca"), ca))
    }

    /// Runs `check` and returns what it prints.
    fn check(&self, config: &Config) -> String {
        stdout(&self.env.thicket_with(&["check"], config))
    }

    fn restart_servers(&mut self) {
        self.env.servers.redis.restart_on_same_port().unwrap();
        self.env.servers.postgres.restart_on_same_port().unwrap();
        self.env.servers.mosquitto.restart_on_same_port().unwrap();
    }
}

/// Adds a client certificate for each server.
fn with_client(config: Config, client: &CertificateFiles) -> Config {
    SERVERS.iter().fold(config, |config, (section, _)| {
        config
            .set(&format!("{section}.tls.cert"), client.cert.to_str().unwrap())
            .set(&format!("{section}.tls.key"), client.key.to_str().unwrap())
    })
}

/// Sets a key for each server.
fn for_each(config: Config, key: &str, value: impl Into<toml::Value> + Copy) -> Config {
    SERVERS.iter().fold(config, |config, (section, _)| config.set(&format!("{section}.{key}"), value))
}

/// Fails unless each server's line of `check` has this begin and contains this text.
fn assert_each(printed: &str, begin: &str, part: &str) {
    for (_, server) in SERVERS {
        assert_line(printed, &format!("{begin}{server}"), part);
    }
}

fn assert_line(printed: &str, begin: &str, part: &str) {
    let line = printed.lines().find(|line| line.starts_with(begin));
    assert!(line.is_some_and(|line| line.contains(part)), "{begin} … {part}:\n{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_certificate_is_refused_with_what_to_do() {
    let mut tls = Tls::start(TestEnv::config()).await;
    let path = tls.path();
    let localhost = tls.config("localhost", &tls.ca);
    let right = with_client(localhost.clone(), &tls.client);
    assert_each(&tls.check(&right), "ok    ", ", TLS");

    let by_address = with_client(tls.config("127.0.0.1", &tls.ca), &tls.client);
    let printed = tls.check(&by_address);
    assert_each(&printed, "FAIL  ", "the server's certificate is for");
    assert_each(&printed, "FAIL  ", "localhost");
    assert_each(&printed, "FAIL  ", "set tls.server_name");
    let named = for_each(by_address.clone(), "tls.server_name", "localhost");
    assert_each(&tls.check(&named), "ok    ", ", TLS");

    let other_ca = Authority::new(&path, "other-ca").unwrap();
    let printed = tls.check(&with_client(tls.config("localhost", &other_ca), &tls.client));
    assert_each(&printed, "FAIL  ", "not signed by a CA in");
    assert_each(&printed, "FAIL  ", "set tls.ca");

    assert_each(&tls.check(&localhost), "FAIL  ", "set tls.cert and tls.key");
    let foreign = other_ca.client(&path, "foreign", Validity::Now).unwrap();
    let printed = tls.check(&with_client(localhost.clone(), &foreign));
    assert_each(&printed, "FAIL  ", "the server does not trust the client certificate");
    let expired = tls.ca.client(&path, "expired", Validity::Expired).unwrap();
    let printed = tls.check(&with_client(localhost, &expired));
    assert_each(&printed, "FAIL  ", "the client certificate has expired; renew it");

    tls.ca.server(&path, "localhost", Validity::Expired).unwrap();
    tls.restart_servers();
    let printed = tls.check(&right);
    assert_each(&printed, "FAIL  ", "the server's certificate has expired; renew it");
    // Neither the certificate nor its name is verified. The words say so.
    let insecure = for_each(right, "tls.insecure", true);
    let port = tls.env.servers.postgres.port();
    let insecure = insecure.set("postgres.url", format!("postgres://thicket@127.0.0.1:{port}/thicket"));
    assert_each(&tls.check(&insecure), "ok    ", "TLS that accepts any server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_does_not_fit_its_port_is_refused_with_the_one_that_may() {
    let tls = Tls::start(TestEnv::config()).await;
    let servers = &tls.env.servers;
    let right = with_client(tls.config("localhost", &tls.ca), &tls.client);
    let (redis, postgres, mqtt) = (&servers.redis, &servers.postgres, &servers.mosquitto);

    let tls_to_plain = right
        .clone()
        .set("redis.url", format!("rediss://localhost:{}", redis.port()))
        .set("mqtt.url", format!("mqtts://localhost:{}", mqtt.port()));
    let printed = tls.check(&tls_to_plain);
    for server in ["redis", "mqtt"] {
        assert_line(&printed, &format!("FAIL  {server}"), "if this port is without TLS");
    }

    let plain_to_tls = TestEnv::config()
        .set("redis.url", format!("redis://localhost:{}", redis.tls_port().unwrap()))
        .set("postgres.url", format!("postgres://nobody@localhost:{}/thicket", postgres.port()))
        .set("mqtt.url", format!("mqtt://localhost:{}", mqtt.tls_port().unwrap()));
    let printed = tls.check(&plain_to_tls);
    for server in ["redis", "mqtt"] {
        assert_line(&printed, &format!("FAIL  {server}"), "if its port expects TLS");
    }
    assert_line(&printed, "FAIL  postgresql", "add sslmode=verify-full");

    let plain =
        TestEnv::config().set("mqtt.url", format!("ws://localhost:{}", mqtt.websocket_port().unwrap()));
    assert_line(&tls.check(&plain), "ok    mqtt", "/mqtt accepts the connection, without TLS");
    let wss = right.set("mqtt.url", format!("wss://localhost:{}/any", mqtt.tls_websocket_port().unwrap()));
    assert_line(&tls.check(&wss), "ok    mqtt", "/any accepts the connection, TLS");
    let by_address = wss.set("mqtt.url", format!("wss://127.0.0.1:{}", mqtt.tls_websocket_port().unwrap()));
    assert_line(&tls.check(&by_address), "FAIL  mqtt", "the server's certificate is for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_tls_is_never_used_when_tls_is_asked_for() {
    let env = TestEnv::start(BINARY, TestEnv::config()).await;
    let port = env.servers.postgres.port();
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = format!("postgres://thicket@127.0.0.1:{port}/thicket?sslmode={mode}");
        let printed = stdout(&env.thicket_with(&["check"], &TestEnv::config().set("postgres.url", url)));
        assert_line(&printed, "FAIL  postgresql", "the server has no TLS; set `ssl = on`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_goes_on_after_ca_and_certificates_are_replaced() {
    let mut tls = Tls::start(TestEnv::config()).await;
    let path = tls.path();
    let engines_ca = path.join("engines-ca.pem");
    std::fs::copy(&tls.ca.cert, &engines_ca).unwrap();
    let config = with_client(tls.config("localhost", &tls.ca), &tls.client);
    let config = for_each(config, "tls.ca", engines_ca.to_str().unwrap());
    let engine = tls.env.engine_with(&config).await;
    let publisher = tls.env.publisher();
    for i in 0..50 {
        publisher.publish(&format!("sensors/{}", i % 5), "1").await;
    }
    tls.env.until_accounted(50).await;
    let with_certificate = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND client_dn LIKE '%client%'";
    assert!(tls.env.number(with_certificate).await > 0);
    let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                 WHERE NOT ssl AND client_addr IS NOT NULL AND pid <> pg_backend_pid()";
    tls.env.until(plain, 0).await;
    drop(publisher);

    // Until the engine has the new CA too, it refuses the servers and says why.
    tls.ca = Authority::new(&path, "ca").unwrap();
    tls.ca.server(&path, "localhost", Validity::Now).unwrap();
    tls.ca.client(&path, "client", Validity::Now).unwrap();
    tls.restart_servers();
    for server in ["no connection to the broker", "no connection to redis"] {
        engine.until_log_contains(server).await;
    }
    engine.until_log_contains("the server's certificate is not signed by a CA in").await;
    std::fs::copy(&tls.ca.cert, &engines_ca).unwrap();
    let publisher = tls.env.publisher();
    for i in 0..50 {
        publisher.publish(&format!("sensors/{}", i % 5), "2").await;
    }
    tls.env.until_accounted(100).await;
    assert!(engine.terminate().await.success());
}
