//! Receivers of notifications: an HTTP server and an SMTP server. They accept, refuse or note what
//! a sender really sends.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that an HTTP receiver has accepted.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// The path.
    pub(crate) path: String,
    /// The header `Idempotency-Key`.
    pub(crate) key: String,
    /// The header `Authorization`.
    pub(crate) authorization: String,
    /// The body.
    pub(crate) body: String,
}

impl Posted {
    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns what the body, of the shape json, says: sensor, begin of the anomaly, and kind.
    pub(crate) fn said(&self) -> Vec<(String, String, String)> {
        let json = self.json();
        let events = json["events"].as_array().unwrap();
        let of_event = |event: &Value| {
            let text = |key: &str| event[key].as_str().unwrap().to_owned();
            let kinds: Vec<String> = serde_json::from_value(event["kinds"].clone()).unwrap();
            kinds.into_iter().map(|kind| (text("sensor"), text("started"), kind)).collect::<Vec<_>>()
        };
        events.iter().flat_map(of_event).collect()
    }
}

/// An HTTP server of the test.
#[derive(Clone)]
pub(crate) struct HttpReceiver {
    posted: Arc<Mutex<Vec<Posted>>>,
    status: Arc<AtomicU16>,
    port: u16,
}

impl HttpReceiver {
    /// Starts it on a free port.
    pub(crate) fn start() -> Self {
        Self::start_on(free_port())
    }

    /// Starts it on a port.
    pub(crate) fn start_on(port: u16) -> Self {
        let receiver = Self { posted: Arc::default(), status: Arc::new(AtomicU16::new(200)), port };
        let state = receiver.clone();
        let (sender, started) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    App::new().app_data(web::Data::new(state.clone())).default_service(web::to(accept))
                };
                let server = HttpServer::new(app).workers(1).bind(("127.0.0.1", port)).unwrap().run();
                sender.send(()).unwrap();
                server.await.unwrap();
            });
        });
        started.recv().unwrap();
        receiver
    }

    /// Sets the status of its answers.
    pub(crate) fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns all requests that it has accepted.
    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }
}

async fn accept(request: HttpRequest, body: String, receiver: web::Data<HttpReceiver>) -> HttpResponse {
    let status = receiver.status.load(Ordering::Relaxed);
    if status == 200 {
        let header = |name: &str| {
            let value = request.headers().get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        let (path, key) = (request.path().to_owned(), header("idempotency-key"));
        let authorization = header("authorization");
        receiver.posted.lock().unwrap().push(Posted { path, key, authorization, body });
    }
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}

/// Returns a port on which nothing listens.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A mail server of the test.
pub(crate) struct SmtpReceiver {
    mails: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl SmtpReceiver {
    /// Starts it on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mails: Arc<Mutex<Vec<String>>> = Arc::default();
        let accepted = mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, accepted.clone()));
            }
        });
        Self { mails, port }
    }

    /// Returns its address.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    /// Returns all mails that it has accepted, each with its envelope.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }
}

/// Speaks SMTP (RFC 5321) on one connection.
async fn converse(stream: TcpStream, mails: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    let (mut mail, mut in_data) = (String::new(), false);
    let _ = stream.get_mut().write_all(b"220 test ESMTP\r\n").await;
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|length| length > 0) {
        let command = line.trim_end().to_owned();
        line.clear();
        let answer = match command.as_str() {
            "." if in_data => {
                in_data = false;
                mails.lock().unwrap().push(std::mem::take(&mut mail));
                "250 accepted"
            }
            text if in_data => {
                mail.push_str(text);
                mail.push('\n');
                continue;
            }
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            text => {
                if text.starts_with("MAIL") || text.starts_with("RCPT") {
                    mail.push_str(text);
                    mail.push('\n');
                }
                "250 ok"
            }
        };
        let _ = stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await;
    }
}
