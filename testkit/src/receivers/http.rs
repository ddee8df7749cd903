//! An HTTP server that notes what is posted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use serde_json::Value;

/// How long a request stays without an answer, longer than any sender waits.
const NEVER: Duration = Duration::from_hours(1);

/// What a body of the shape `json` says: sensor, begin of the anomaly, kind.
pub type Said = (String, String, String);

/// A request that the receiver has accepted.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The path.
    pub path: String,
    /// The header `Idempotency-Key`.
    pub key: String,
    /// The header `Authorization`.
    pub authorization: String,
    /// The body.
    pub body: String,
}

impl Posted {
    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Returns what the body, of the shape `json`, says.
    pub fn said(&self) -> Vec<Said> {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of_event = |event: &Value| {
            let kinds = event["kinds"].as_array().cloned().unwrap_or_default();
            let (sensor, started) = (text(&event["sensor"]), text(&event["started"]));
            kinds.iter().map(|kind| (sensor.clone(), started.clone(), text(kind))).collect::<Vec<_>>()
        };
        json["events"].as_array().into_iter().flatten().flat_map(of_event).collect()
    }
}

/// A request of any kind, accepted or not.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The header `Idempotency-Key`.
    pub key: String,
}

/// How the receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With a status. The body of an answer with an error names it.
    Status(u16),
    /// With a status and the header `Retry-After`.
    Later(u16, String),
    /// It does not.
    Never,
}

#[derive(Debug)]
struct State {
    posted: Vec<Posted>,
    asked: Vec<Asked>,
    answer: Answer,
}

/// An HTTP server. It stops with the process.
#[derive(Clone, Debug)]
pub struct HttpReceiver {
    state: Arc<Mutex<State>>,
    scheme: &'static str,
    port: u16,
}

impl HttpReceiver {
    /// Starts it on a free port. It answers 200.
    pub fn start() -> Self {
        Self::start_on(0)
    }

    /// Starts it on a port.
    pub fn start_on(port: u16) -> Self {
        Self::try_start(port, None).unwrap_or_else(|error| panic!("no HTTP receiver: {error:#}"))
    }

    /// Starts it with TLS on a free port.
    pub fn start_with_tls(tls: thicket_connect::ServerConfig) -> Self {
        Self::try_start(0, Some(tls)).unwrap_or_else(|error| panic!("no HTTPS receiver: {error:#}"))
    }

    /// Starts it on a port; 0: a free one.
    pub fn try_start(port: u16, tls: Option<thicket_connect::ServerConfig>) -> anyhow::Result<Self> {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = State { posted: Vec::new(), asked: Vec::new(), answer: Answer::Status(200) };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let (sender, started) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let state = web::Data::from(Arc::clone(&shared));
                    let limit = web::PayloadConfig::new(64 << 20);
                    App::new().app_data(state).app_data(limit).default_service(web::to(accept))
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let bound = match tls {
                    Some(tls) => server.bind_rustls_0_23(("127.0.0.1", port), tls),
                    None => server.bind(("127.0.0.1", port)),
                };
                let server = match bound {
                    Ok(server) => server,
                    Err(error) => return drop(sender.send(Err(error))),
                };
                let port = server.addrs().first().map_or(0, std::net::SocketAddr::port);
                drop(sender.send(Ok(port)));
                drop(server.run().await);
            });
        });
        let port = started.recv().context("the receiver has ended")??;
        Ok(Self { state, scheme, port })
    }

    /// Sets how it answers from now on.
    pub fn answer(&self, answer: Answer) {
        self.state().answer = answer;
    }

    /// Returns its address.
    pub fn url(&self) -> String {
        let host = if self.scheme == "https" { "localhost" } else { "127.0.0.1" };
        format!("{}://{host}:{}", self.scheme, self.port)
    }

    /// Returns all requests that it has accepted.
    pub fn posted(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    /// Returns all requests, also those that it has not accepted.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Forgets all requests.
    pub fn forget(&self) {
        let mut state = self.state();
        state.posted.clear();
        state.asked.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(request: HttpRequest, body: String, state: web::Data<Mutex<State>>) -> HttpResponse {
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let key = header("idempotency-key");
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked.push(Asked { key: key.clone() });
        if matches!(state.answer, Answer::Status(200)) {
            let (path, authorization) = (request.path().to_owned(), header("authorization"));
            state.posted.push(Posted { path, key, authorization, body });
        }
        state.answer.clone()
    };
    let status = |code| StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match answer {
        Answer::Status(200) => HttpResponse::Ok().finish(),
        Answer::Status(code) => HttpResponse::build(status(code)).body(format!("answer {code}")),
        Answer::Later(code, wait) => {
            HttpResponse::build(status(code)).insert_header(("retry-after", wait)).finish()
        }
        Answer::Never => {
            tokio::time::sleep(NEVER).await;
            HttpResponse::Ok().finish()
        }
    }
}
