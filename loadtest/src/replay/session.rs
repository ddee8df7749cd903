//! The connection to the broker: sends, reads confirmations, reconnects and sends again.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use rumqttc::mqttbytes::{
    self,
    v4::{Connect, ConnectReturnCode, Packet, PingReq},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::watch,
    time,
};

use super::{
    error::ReplayError,
    feed::{Feed, Message},
    options::{MaxLag, ReplayOptions},
    pace::Pace,
    progress::Progress,
    summary::Summary,
    window::Window,
};
use crate::scenario::Scenario;

mod record;

use record::Recorder;

/// The MQTT keep-alive interval. The broker disconnects a client that sends nothing for one and a
/// half intervals.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A connection on which nothing arrives for this long counts as lost.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two checks of the lag when the replay is too far ahead.
const LAG_POLL_INTERVAL: Duration = Duration::from_millis(5);
/// The most bytes in the output buffer. It is enough to keep the socket busy; more would only delay
/// the reading of confirmations.
const OUT_BYTES: usize = 256 * 1_024;

pub(super) struct Session {
    options: ReplayOptions,
    progress: Arc<Progress>,
    feed: Feed,
    /// The next message: taken from the feed, but not yet allowed to be sent.
    next: Option<Message>,
    pace: Pace,
    window: Window,
    recorder: Recorder,
    /// When to stop waiting for confirmations. Set when the replay is told to stop; from then on
    /// nothing new is sent.
    give_up_at: Option<Instant>,
}

/// What the session may send now.
enum Turn {
    Message(Message),
    Wait(Duration),
    Done,
}

impl Session {
    pub(super) fn new(
        scenario: &Arc<Scenario>,
        options: ReplayOptions,
        progress: Arc<Progress>,
    ) -> Result<Self, ReplayError> {
        let feed = Feed::new(scenario, &options);
        let recorder = Recorder::new(options.manifest.as_deref(), scenario, &feed)?;
        Ok(Self {
            pace: Pace::new(options.rate),
            window: Window::new(options.in_flight),
            next: None,
            give_up_at: None,
            feed,
            recorder,
            options,
            progress,
        })
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<Summary, ReplayError> {
        let began = Instant::now();
        let mut backoff = Duration::from_millis(100);
        loop {
            let attempt = tokio::select! {
                attempt = self.connect() => attempt?,
                () = stopped(&mut stop), if self.give_up_at.is_none() => {
                    self.stop();
                    Err(io::ErrorKind::Interrupted.into())
                }
            };
            match attempt {
                Ok(stream) => {
                    backoff = Duration::from_millis(100);
                    self.progress.connected.store(true, Relaxed);
                    self.progress.connects.fetch_add(1, Relaxed);
                    let outcome = self.drive(stream, &mut stop).await;
                    self.progress.connected.store(false, Relaxed);
                    match outcome? {
                        Ok(()) => break,
                        Err(error) => {
                            let broker = &self.options.broker;
                            tracing::warn!(%broker, %error, unconfirmed = self.window.len(), "lost the MQTT broker, reconnecting");
                        }
                    }
                }
                Err(source)
                    if self.progress.connects() == 0 && began.elapsed() > self.options.connect_timeout =>
                {
                    let port = self.options.broker.port;
                    return Err(ReplayError::Unreachable {
                        broker: self.options.broker.to_string(),
                        port,
                        source,
                    });
                }
                Err(error) => {
                    tracing::warn!(broker = %self.options.broker, %error, "cannot reach the MQTT broker, trying again");
                }
            }
            self.recorder.flush()?;
            if self.pause(backoff, &mut stop).await {
                break;
            }
            backoff = (backoff * 2).min(Duration::from_secs(5));
        }
        self.recorder.finish()?;
        Ok(Summary {
            published: self.progress.published(),
            malformed: self.progress.malformed(),
            events: self.progress.events(),
            unconfirmed: self.window.len(),
        })
    }

    /// Waits before the next attempt to connect. Returns true if the replay is over.
    async fn pause(&mut self, backoff: Duration, stop: &mut watch::Receiver<bool>) -> bool {
        tokio::select! {
            () = time::sleep(backoff) => {}
            () = stopped(stop), if self.give_up_at.is_none() => self.stop(),
        }
        self.give_up_at.is_some_and(|at| self.window.is_empty() || Instant::now() >= at)
    }

    fn stop(&mut self) {
        let drain = self.options.drain;
        self.give_up_at.get_or_insert_with(|| Instant::now() + drain);
    }

    /// Connects to the broker. The outer error ends the replay; after the inner one the session
    /// tries again.
    async fn connect(&self) -> Result<io::Result<TcpStream>, ReplayError> {
        let attempt = time::timeout(Duration::from_secs(10), self.try_connect());
        let stream = match attempt.await {
            Ok(Ok((stream, ConnectReturnCode::Success))) => stream,
            Ok(Ok((_, ConnectReturnCode::ServiceUnavailable))) => {
                return Ok(Err(io::Error::other("the broker is not available yet")));
            }
            Ok(Ok((_, code))) => {
                let broker = self.options.broker.to_string();
                return Err(ReplayError::Refused { broker, reason: format!("{code:?}") });
            }
            Ok(Err(error)) => return Ok(Err(error)),
            Err(_) => return Ok(Err(io::ErrorKind::TimedOut.into())),
        };
        Ok(Ok(stream))
    }

    async fn try_connect(&self) -> io::Result<(TcpStream, ConnectReturnCode)> {
        let broker = &self.options.broker;
        let mut stream = TcpStream::connect((broker.host.as_str(), broker.port)).await?;
        stream.set_nodelay(true)?;
        let mut connect = Connect::new(&self.options.client_id);
        connect.keep_alive = KEEP_ALIVE.as_secs() as u16;
        if let Some((user, password)) = &broker.login {
            connect.set_login(user, password);
        }
        let mut bytes = BytesMut::new();
        connect.write(&mut bytes).map_err(io::Error::other)?;
        stream.write_all(&bytes).await?;
        bytes.clear();
        loop {
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            match read_packet(&mut bytes)? {
                Some(Packet::ConnAck(answer)) => return Ok((stream, answer.code)),
                Some(_) => return Err(io::Error::other("the server does not speak MQTT 3.1.1")),
                None => {}
            }
        }
    }

    /// Publishes over one connection until everything is confirmed or the connection is lost.
    async fn drive(
        &mut self,
        mut stream: TcpStream,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<io::Result<()>, ReplayError> {
        let (mut reader, mut writer) = stream.split();
        let (mut out, mut inbox) = (BytesMut::with_capacity(OUT_BYTES * 2), BytesMut::with_capacity(65_536));
        let mut heartbeat = time::interval(Duration::from_secs(1));
        let (mut last_received, mut last_sent) = (Instant::now(), Instant::now());
        self.window.send_again(&mut out);
        loop {
            let pause = self.fill(&mut out);
            if out.is_empty() && self.window.is_empty() && self.finished(pause) {
                let _ = writer.write_all(&[0xe0, 0]).await;
                return Ok(Ok(()));
            }
            tokio::select! {
                read = reader.read_buf(&mut inbox) => {
                    match read {
                        Ok(0) => return Ok(Err(io::ErrorKind::ConnectionReset.into())),
                        Ok(_) => last_received = Instant::now(),
                        Err(error) => return Ok(Err(error)),
                    }
                    if let Err(error) = self.take_confirmations(&mut inbox)? {
                        return Ok(Err(error));
                    }
                }
                written = writer.write_buf(&mut out), if !out.is_empty() => match written {
                    Ok(_) => last_sent = Instant::now(),
                    Err(error) => return Ok(Err(error)),
                },
                () = time::sleep(pause.unwrap_or_default()), if pause.is_some_and(|pause| !pause.is_zero()) => {}
                _ = heartbeat.tick() => {
                    self.recorder.flush()?;
                    if last_sent.elapsed() > KEEP_ALIVE / 2 && out.is_empty() {
                        let _ = PingReq.write(&mut out);
                    }
                    if last_received.elapsed() > TIMEOUT {
                        return Ok(Err(io::ErrorKind::TimedOut.into()));
                    }
                    if self.give_up_at.is_some_and(|at| Instant::now() >= at) {
                        return Ok(Ok(()));
                    }
                }
                () = stopped(stop), if self.give_up_at.is_none() => self.stop(),
            }
        }
    }

    /// Returns whether no new message will be sent: the feed has ended, or the replay was stopped.
    /// `pause` is the result of [`Session::fill`].
    fn finished(&self, pause: Option<Duration>) -> bool {
        self.give_up_at.is_some() || pause.is_none()
    }

    /// Appends all messages that may be sent now to `out`. Returns how long to wait for the next
    /// message: zero if it waits only for room in the window or in `out`, `None` if there is no
    /// next message.
    fn fill(&mut self, out: &mut BytesMut) -> Option<Duration> {
        if self.give_up_at.is_some() {
            return None;
        }
        let (now, wall_micros) = (Instant::now(), crate::time::now());
        let mut budget =
            self.options.max_lag.clone().map(|max_lag| LagBudget::new(&max_lag, self.progress.sent()));
        while !self.window.is_full() && out.len() < OUT_BYTES {
            match self.turn(now, wall_micros, budget.as_ref()) {
                Turn::Message(message) => {
                    let readings = message.readings();
                    self.pace.sent(&message);
                    self.progress.live.store(message.live, Relaxed);
                    self.progress.sent.fetch_add(readings, Relaxed);
                    if let Some(budget) = &mut budget {
                        budget.room = budget.room.saturating_sub(readings);
                    }
                    self.window.send(message, out);
                }
                Turn::Wait(pause) => return Some(pause),
                Turn::Done => return None,
            }
        }
        Some(Duration::ZERO)
    }

    /// Returns the next message if it may be sent now.
    fn turn(&mut self, now: Instant, wall_micros: i64, budget: Option<&LagBudget>) -> Turn {
        let Some(message) = self.next.take().or_else(|| self.feed.next()) else { return Turn::Done };
        // A message with more readings than the limit is sent when no other reading is in flight.
        let lagging = budget.is_some_and(|budget| budget.room < message.readings().clamp(1, budget.limit));
        let wait = if lagging { Some(LAG_POLL_INTERVAL) } else { self.pace.wait(&message, now, wall_micros) };
        match wait {
            None => Turn::Message(message),
            Some(wait) => {
                self.next = Some(message);
                Turn::Wait(wait)
            }
        }
    }

    /// Reads confirmations from `inbox` and records the messages that are confirmed in order.
    fn take_confirmations(&mut self, inbox: &mut BytesMut) -> Result<io::Result<()>, ReplayError> {
        loop {
            match read_packet(inbox) {
                Ok(Some(Packet::PubAck(ack))) => self.window.confirm(ack.pkid),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
        while let Some(message) = self.window.take_confirmed() {
            self.recorder.record(&message, &self.progress)?;
        }
        Ok(Ok(()))
    }
}

/// How many more readings the replay may send before it must wait for the engine.
struct LagBudget {
    limit: u64,
    room: u64,
}

impl LagBudget {
    fn new(max_lag: &MaxLag, sent: u64) -> Self {
        let lag = sent.saturating_sub((max_lag.stored)());
        let limit = max_lag.readings.max(1);
        Self { limit, room: limit.saturating_sub(lag) }
    }
}

/// Reads a packet from the front of `bytes`; `None` if it is not complete yet.
fn read_packet(bytes: &mut BytesMut) -> io::Result<Option<Packet>> {
    match Packet::read(bytes, 65_536) {
        Ok(packet) => Ok(Some(packet)),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Resolves when `stop` becomes true. Never resolves if its sender is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|&stopped| stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
