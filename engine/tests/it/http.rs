//! The HTTP server: who is answered, TLS, and slow clients that leave the others alone.

use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use thicket_testkit::certificates::{Authority, Validity};
use thicket_testkit::timing::TIMEOUT;
use thicket_testkit::{Engine, TestEnv, get_with_tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{start, stderr, stdout};

const READ: &str = "the token of a reader";
const OPERATE: &str = "the token of an operator";
const SLOW_CLIENTS: usize = 2_000;
/// A server that waited until 256 handshakes at a time have timed out, after 5 s, would not come to
/// the last of so many clients within the timeout of a test.
const SILENT_CLIENTS: usize = 4_000;
const REQUESTS: usize = 10;
/// Clients that send requests and read no answer, and requests of each.
const GREEDY_CLIENTS: usize = 100;
const PIPELINED: usize = 3_000;
/// The usual limit of a process.
const DESCRIPTORS: u64 = 1_024;

/// Sends a request as it is, and returns the first line of the answer.
async fn raw(engine: &Engine, request: &str) -> String {
    let mut stream = TcpStream::connect(engine.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 1_024];
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read(&mut answer)).await.unwrap();
    let text = String::from_utf8_lossy(&answer[..read.unwrap()]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_server_gets_no_answer_from_the_api() {
    let env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    let get =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
    let status = async |path: &str, headers: &str| raw(&engine, &get(path, headers)).await;
    assert!(status("/api/anomalies", "host: localhost\r\n").await.contains(" 200 "));
    assert!(status("/api/anomalies", "host: evil.example\r\n").await.contains(" 421 "));
    let foreign = "host: localhost\r\norigin: http://evil.example\r\n";
    assert!(status("/api/anomalies", foreign).await.contains(" 403 "));
    // Prometheus and probes may use any name.
    assert!(status("/metrics", "host: engine:9464\r\n").await.contains(" 200 "));
    assert!(status("/readyz", "host: engine:9464\r\n").await.contains(" 200 "));
    for path in ["/metrics", "/healthz", "/readyz"] {
        let head = format!("HEAD {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert!(raw(&engine, &head).await.contains(" 200 "), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_decides_who_may_read_and_who_may_label() {
    let env = start(TestEnv::config()).await;
    let label = json!({"sensor": "a", "started": "2026-11-22T10:00:00Z", "label": "true"});
    let open = env.engine().await;
    assert_eq!(open.api("GET", "/api/anomalies", None).await.0, 200);
    let (status, answer) = open.api("POST", "/api/labels", Some(&label)).await;
    assert_eq!(status, 403);
    assert!(answer["error"].as_str().unwrap().contains("http.operate_token_file"), "{answer}");
    assert!(open.terminate().await.success());

    let mut config = env.base();
    for (key, token) in [("read", READ), ("operate", OPERATE)] {
        let file = env.path().join(key);
        std::fs::write(&file, token).unwrap();
        config = config.set(&format!("http.{key}_token_file"), file.to_str().unwrap());
    }
    let engine = env.engine_with(&config).await;
    for (token, read, change) in [(None, 401, 401), (Some(READ), 200, 401), (Some(OPERATE), 200, 404)] {
        assert_eq!(engine.api_with(token, "GET", "/api/anomalies", None).await.0, read, "{token:?}");
        let (status, answer) = engine.api_with(token, "POST", "/api/labels", Some(&label)).await;
        assert_eq!(status, change, "{token:?}: {answer}");
    }
    assert_eq!(engine.get("/metrics").await.status, 200);

    let short = env.path().join("short");
    std::fs::write(&short, "guess").unwrap();
    let run = env.thicket_with(&["run"], &env.base().set("http.read_token_file", short.to_str().unwrap()));
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("at least 16 characters"), "{}", stderr(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_tls_and_a_renewed_certificate_needs_no_restart() {
    let env = start(TestEnv::config()).await;
    let directory = TestEnv::directory();
    let path = directory.path();
    let ca = Authority::new(path, "ca").unwrap();
    let files = ca.server(path, "localhost", Validity::Now).unwrap();
    let config = env
        .base()
        .set("http.tls.cert", files.cert.to_str().unwrap())
        .set("http.tls.key", files.key.to_str().unwrap());
    let engine = env.launch(&config, &[]);
    let own = config.set("http.listen", engine.address());
    let ready = || env.thicket_with(&["ready"], &own);
    for tries in 0.. {
        if ready().status.success() {
            break;
        }
        assert!(tries < 600, "not ready: {}", engine.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stdout(&ready()), "ready\n");
    assert!(stdout(&env.thicket_with(&["status"], &own)).contains("detectors    0 in memory"));

    let url = format!("https://{}/metrics", engine.address().replace("127.0.0.1", "localhost"));
    let answer = get_with_tls(url.clone(), &ca.cert).await.unwrap();
    assert!(answer.status == 200 && answer.body.contains("thicket_partitions"), "{answer:?}");
    let other = Authority::new(path, "other").unwrap();
    let error = get_with_tls(url.clone(), &other.cert).await.unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    assert!(!raw(&engine, "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await.contains(" 200 "));

    // A certificate of another CA replaces the files. A half-written pair changes nothing.
    std::fs::write(&files.cert, "not a certificate").unwrap();
    assert_eq!(get_with_tls(url.clone(), &ca.cert).await.unwrap().status, 200);
    other.server(path, "localhost", Validity::Now).unwrap();
    assert_eq!(get_with_tls(url.clone(), &other.cert).await.unwrap().status, 200);
    assert!(get_with_tls(url, &ca.cert).await.is_err());

    assert!(engine.terminate().await.success());
    let gone = ready();
    assert_eq!((gone.status.code(), stdout(&gone).as_str()), (Some(1), ""));

    let half = env.base().set("http.tls.cert", files.cert.to_str().unwrap());
    let run = env.thicket_with(&["run"], &half);
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("http.tls.cert: needs http.tls.key beside it"), "{}", stderr(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_handshakes_of_tls_keep_nobody_out() {
    raise_own_limit();
    let env = start(TestEnv::config()).await;
    let ca = Authority::new(env.path(), "ca").unwrap();
    let files = ca.server(env.path(), "localhost", Validity::Now).unwrap();
    let config = env
        .base()
        .set("http.tls.cert", files.cert.to_str().unwrap())
        .set("http.tls.key", files.key.to_str().unwrap());
    let engine = env.launch(&config, &[]);
    let url = format!("https://{}/metrics", engine.address().replace("127.0.0.1", "localhost"));
    let scrape = async || get_with_tls(url.clone(), &ca.cert).await;
    for tries in 0.. {
        if scrape().await.is_ok() {
            break;
        }
        assert!(tries < 600, "no answer: {}", engine.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    engine.limit_descriptors(DESCRIPTORS);
    let mut silent = Vec::new();
    for number in 0..SILENT_CLIENTS {
        silent.push(silent_client(&engine, number).await);
    }
    // All clients are connected before each request: the others are ahead of it.
    for _ in 0..REQUESTS {
        for (number, client) in silent.iter_mut().enumerate() {
            if is_closed(client) {
                *client = silent_client(&engine, number).await;
            }
        }
        let answer = tokio::time::timeout(TIMEOUT, scrape()).await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
        let open = answer.body.lines().find_map(|line| line.strip_prefix("process_open_fds ")).unwrap();
        assert!(open.parse::<f64>().unwrap() < 800.0, "{open} descriptors are open");
    }
}

/// Connects a client that does not end its handshake of TLS. Every second client begins it.
async fn silent_client(engine: &Engine, number: usize) -> TcpStream {
    let mut client = TcpStream::connect(engine.address()).await.unwrap();
    if number % 2 == 1 {
        // The engine may have closed the connection already.
        let _ = client.write_all(&[22, 3, 1]).await;
    }
    client
}

/// Returns whether the engine has closed a connection on which it sends nothing.
fn is_closed(client: &TcpStream) -> bool {
    let read = client.try_read(&mut [0]);
    !matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Lets the test itself have many connections.
fn raise_own_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_leave_the_metrics_and_the_stores_alone() {
    raise_own_limit();
    let mut env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    engine.limit_descriptors(DESCRIPTORS);
    let beginnings = [
        "",
        "GET /metrics HT",
        "POST /api/labels HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{",
    ];
    let mut slow = Vec::new();
    for number in 0..SLOW_CLIENTS {
        let mut client = TcpStream::connect(engine.address()).await.unwrap();
        // The engine may have closed the connection already.
        let _ = client.write_all(beginnings[number % beginnings.len()].as_bytes()).await;
        slow.push(client);
        if number % 500 == 499 {
            assert_eq!(engine.get("/metrics").await.status, 200);
            assert_eq!(engine.get("/readyz").await.status, 200);
        }
    }
    let descriptors = engine.metric("process_open_fds").await;
    assert!(descriptors < 800.0, "{descriptors} descriptors are open");
    let publisher = env.publisher();
    publisher.publish("sensors/a", "1").await;
    env.until_accounted(1).await;
    // New connections to the stores need descriptors, too.
    env.servers.postgres.kill().unwrap();
    env.servers.redis.kill().unwrap();
    env.servers.postgres.restart_on_same_port().unwrap();
    env.servers.redis.restart_on_same_port().unwrap();
    publisher.publish("sensors/a", "2").await;
    env.until_scored(2).await;
    engine.until_ready().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_a_client_does_not_read_take_no_memory() {
    let env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    let before = engine.metric("process_resident_memory_bytes").await;
    let requests = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(PIPELINED);
    let mut clients = Vec::new();
    for _ in 0..GREEDY_CLIENTS {
        let mut client = TcpStream::connect(engine.address()).await.unwrap();
        // The engine reads no more than it answers.
        let _ = tokio::time::timeout(Duration::from_millis(100), client.write_all(requests.as_bytes())).await;
        clients.push(client);
    }
    assert_eq!(engine.get("/readyz").await.status, 200);
    let taken = (engine.metric("process_resident_memory_bytes").await - before) / f64::from(1 << 20);
    assert!(taken < 100.0, "{taken} MiB");
    // All requests of a client that reads are answered, in their order.
    let mut client = TcpStream::connect(engine.address()).await.unwrap();
    let last = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let three = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(2) + last;
    client.write_all(three.as_bytes()).await.unwrap();
    let mut answers = String::new();
    client.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_request_do_not_fill_the_log() {
    let env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    for _ in 0..200 {
        // A client that expects TLS.
        assert!(raw(&engine, "\u{16}\u{3}\u{1}\r\n\r\n").await.contains(" 400 "));
    }
    let log = engine.log();
    let lines = log.lines().filter(|line| line.contains("HTTP") || line.contains("parse")).count();
    assert!(lines <= 2, "{log}");
    assert!(log.contains("a connection to the HTTP server was closed"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_body_never_ends_is_ended() {
    let env = start(TestEnv::config()).await;
    let file = env.path().join("operate");
    std::fs::write(&file, OPERATE).unwrap();
    let engine = env.engine_with(&env.base().set("http.operate_token_file", file.to_str().unwrap())).await;
    let mut client = TcpStream::connect(engine.address()).await.unwrap();
    let beginning = format!(
        "POST /api/labels HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {OPERATE}\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n{{"
    );
    client.write_all(beginning.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The client keeps its side open, and sends a byte now and then, as a slow device does.
    tokio::time::timeout(TIMEOUT, async {
        loop {
            let mut part = [0; 1_024];
            tokio::select! {
                read = client.read(&mut part) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(bytes) => answer.extend_from_slice(&part[..bytes]),
                },
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    let _ = client.write_all(b" ").await;
                }
            }
            if answer.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
    })
    .await
    .unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

/// Prometheus counts the first restart of an actor only if it has seen the counter before.
#[tokio::test(flavor = "multi_thread")]
async fn the_restarts_of_every_actor_are_counted_from_zero() {
    let env = start(TestEnv::config()).await;
    let engine = env.engine().await;
    let metrics = engine.get("/metrics").await.body;
    for actor in [
        "mqtt_ingress",
        "queue_writer",
        "shard",
        "detector",
        "postgres_writer",
        "checkpointer",
        "partition_keeper",
        "notifier",
    ] {
        let line = format!("thicket_actor_restarts_total{{actor=\"{actor}\"}} 0");
        assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
    }
}
