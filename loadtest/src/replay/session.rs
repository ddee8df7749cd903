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
    MaxLag, Progress, ReplayError, ReplayOptions, Summary,
    feed::{Feed, Message},
    pace::Pace,
    window::Window,
};
use crate::scenario::Scenario;

mod record;

use record::Recorder;

/// The broker throws a client out that says nothing for one and a half of these.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// A connection on which an answer stays out for this long is taken for lost.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a replay that is too far ahead looks again.
const LAG_POLL: Duration = Duration::from_millis(5);
/// Enough bytes to keep the socket busy; more would only delay reading confirmations.
const OUT_BYTES: usize = 256 * 1_024;

pub(super) struct Session {
    options: ReplayOptions,
    progress: Arc<Progress>,
    feed: Feed,
    /// Taken from the feed, but not yet allowed to go.
    next: Option<Message>,
    pace: Pace,
    window: Window,
    recorder: Recorder,
    /// Set when asked to stop: nothing new is sent, and this is the time to give up on confirmations.
    give_up_at: Option<Instant>,
}

/// What may be sent now.
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
        let recorder = Recorder::new(options.ledger.as_deref(), scenario, &feed)?;
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
                Err(source) if self.progress.connects() == 0 && began.elapsed() > self.options.patience => {
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

    /// Waits before the next attempt; true if there is no point in one any more.
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

    /// The outer error ends the replay, the inner one is worth another attempt.
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

    /// Publishes over one connection until everything is done or the connection is lost.
    async fn drive(
        &mut self,
        mut stream: TcpStream,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<io::Result<()>, ReplayError> {
        let (mut reader, mut writer) = stream.split();
        let (mut out, mut inbox) = (BytesMut::with_capacity(OUT_BYTES * 2), BytesMut::with_capacity(65_536));
        let mut heartbeat = time::interval(Duration::from_secs(1));
        let (mut last_heard, mut last_said) = (Instant::now(), Instant::now());
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
                        Ok(_) => last_heard = Instant::now(),
                        Err(error) => return Ok(Err(error)),
                    }
                    if let Err(error) = self.take_confirmations(&mut inbox)? {
                        return Ok(Err(error));
                    }
                }
                written = writer.write_buf(&mut out), if !out.is_empty() => match written {
                    Ok(_) => last_said = Instant::now(),
                    Err(error) => return Ok(Err(error)),
                },
                () = time::sleep(pause.unwrap_or_default()), if pause.is_some_and(|pause| !pause.is_zero()) => {}
                _ = heartbeat.tick() => {
                    self.recorder.flush()?;
                    if last_said.elapsed() > KEEP_ALIVE / 2 && out.is_empty() {
                        let _ = PingReq.write(&mut out);
                    }
                    if last_heard.elapsed() > PATIENCE {
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

    /// Nothing more will come: the feed has ended, or we were told to stop.
    fn finished(&self, pause: Option<Duration>) -> bool {
        self.give_up_at.is_some() || pause.is_none()
    }

    /// Takes in whatever may go now. Returns how long to wait for the next message, zero if only for room or confirmations,
    /// nothing if there is no next message.
    fn fill(&mut self, out: &mut BytesMut) -> Option<Duration> {
        if self.give_up_at.is_some() {
            return None;
        }
        let (now, wall_micros) = (Instant::now(), crate::time::now());
        let mut ahead =
            self.options.max_lag.clone().map(|max_lag| Ahead::new(&max_lag, self.progress.sent()));
        while !self.window.is_full() && out.len() < OUT_BYTES {
            match self.turn(now, wall_micros, ahead.as_ref()) {
                Turn::Message(message) => {
                    let readings = message.readings();
                    self.pace.sent(&message);
                    self.progress.live.store(message.live, Relaxed);
                    self.progress.sent.fetch_add(readings, Relaxed);
                    if let Some(ahead) = &mut ahead {
                        ahead.room = ahead.room.saturating_sub(readings);
                    }
                    self.window.send(message, out);
                }
                Turn::Wait(pause) => return Some(pause),
                Turn::Done => return None,
            }
        }
        Some(Duration::ZERO)
    }

    fn turn(&mut self, now: Instant, wall_micros: i64, ahead: Option<&Ahead>) -> Turn {
        let Some(message) = self.next.take().or_else(|| self.feed.next()) else { return Turn::Done };
        // A message of more readings than may be under way goes when nothing else is.
        let lagging = ahead.is_some_and(|ahead| ahead.room < message.readings().clamp(1, ahead.limit));
        let wait = if lagging { Some(LAG_POLL) } else { self.pace.wait(&message, now, wall_micros) };
        match wait {
            None => Turn::Message(message),
            Some(wait) => {
                self.next = Some(message);
                Turn::Wait(wait)
            }
        }
    }

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

/// How much further a replay may run ahead of those who store its readings.
struct Ahead {
    limit: u64,
    room: u64,
}

impl Ahead {
    fn new(max_lag: &MaxLag, sent: u64) -> Self {
        let lag = sent.saturating_sub((max_lag.stored)());
        let limit = max_lag.readings.max(1);
        Self { limit, room: limit.saturating_sub(lag) }
    }
}

fn read_packet(bytes: &mut BytesMut) -> io::Result<Option<Packet>> {
    match Packet::read(bytes, 65_536) {
        Ok(packet) => Ok(Some(packet)),
        Err(mqttbytes::Error::InsufficientBytes(_)) => Ok(None),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Resolves when the replay is told to stop; never, if nobody can tell it any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|&stop| stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
