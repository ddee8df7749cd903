//! Small clients of the servers, for the tests.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use thicket_compose::{Prometheus, Redis};

/// Checks the condition every 20 ms until it holds. Fails after 30 s.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "timed out waiting until {what}");
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "no arbiter runs in these tests")]
fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

fn connect(port: u16) -> TcpStream {
    let connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    connection
}

/// Sends one inline command and returns the lines of its answer, joined by spaces.
pub(crate) fn redis(server: &Redis, command: &str) -> String {
    let mut connection = connect(server.port());
    let password = thicket_compose::password().unwrap();
    connection.write_all(format!("AUTH {password}\r\n{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    let answer = answer.strip_prefix("+OK\r\n").unwrap().strip_suffix("+OK\r\n").unwrap();
    answer.trim_end().replace("\r\n", " ")
}

/// Returns the answer of Prometheus's query API, as JSON text.
pub(crate) fn prometheus_query(server: &Prometheus, expression: &str) -> String {
    let client = ureq::Agent::config_builder().proxy(None).build().new_agent();
    let request = client.get(format!("{}/api/v1/query", server.url())).query("query", expression);
    request.call().unwrap().body_mut().read_to_string().unwrap()
}

/// Waits until Mosquitto has saved its state after this call.
pub(crate) fn wait_for_save(directory: &Path) {
    let now = SystemTime::now();
    let file = directory.join("mosquitto.db");
    until("the broker saves its state", || {
        fs::metadata(&file).is_ok_and(|file| file.modified().unwrap() > now)
    });
}

/// An MQTT 3.1.1 client with QoS 1 in both directions, one message at a time.
pub(crate) struct Mqtt {
    connection: TcpStream,
    packet: u16,
}

impl Mqtt {
    pub(crate) fn connect(port: u16, client: &str, clean: bool) -> Mqtt {
        let password = thicket_compose::password().unwrap();
        let (mqtt, code) = Mqtt::connect_with(port, client, clean, Some(&password));
        assert_eq!(code, 0);
        mqtt
    }

    /// Returns the connection and the code of the broker's answer.
    pub(crate) fn connect_with(port: u16, client: &str, clean: bool, password: Option<&str>) -> (Mqtt, u8) {
        let mut mqtt = Mqtt { connection: connect(port), packet: 0 };
        let login = if password.is_some() { 0xc0 } else { 0 };
        let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, login | u8::from(clean) << 1, 0, 60];
        put_text(&mut body, client);
        if let Some(password) = password {
            put_text(&mut body, thicket_compose::USER);
            put_text(&mut body, password);
        }
        mqtt.send(0x10, &body);
        let (kind, answer) = mqtt.read();
        assert_eq!(kind, 0x20);
        (mqtt, answer[1])
    }

    pub(crate) fn subscribe(&mut self, filter: &str) {
        self.packet += 1;
        let mut body = self.packet.to_be_bytes().to_vec();
        put_text(&mut body, filter);
        body.push(1);
        self.send(0x82, &body);
        let (kind, answer) = self.read();
        assert_eq!((kind, answer[2]), (0x90, 1));
    }

    /// Publishes and waits for the acknowledgement.
    pub(crate) fn publish(&mut self, topic: &str, payload: &[u8], retain: bool) {
        let packet = self.publication(topic, payload, retain);
        self.connection.write_all(&packet).unwrap();
        assert_eq!(self.read(), (0x40, self.packet.to_be_bytes().to_vec()));
    }

    /// Publishes, and returns whether the broker ends the connection instead of acknowledging.
    pub(crate) fn loses_connection_by_publishing(mut self, topic: &str, payload: &[u8]) -> bool {
        let packet = self.publication(topic, payload, false);
        // The broker may end the connection before it has read the packet.
        let _ = self.connection.write_all(&packet);
        match self.connection.read(&mut [0; 1]) {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn publication(&mut self, topic: &str, payload: &[u8], retain: bool) -> Vec<u8> {
        self.packet += 1;
        let mut body = Vec::new();
        put_text(&mut body, topic);
        body.extend(self.packet.to_be_bytes());
        body.extend(payload);
        packet(0x32 | u8::from(retain), &body)
    }

    /// Receives the next message and acknowledges it.
    pub(crate) fn receive(&mut self) -> (String, Vec<u8>) {
        let (kind, body) = self.read();
        assert_eq!(kind & 0xf6, 0x32, "quality of service 1");
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, rest) = body[2..].split_at(length);
        self.send(0x40, &rest[..2]);
        (String::from_utf8(topic.to_vec()).unwrap(), rest[2..].to_vec())
    }

    fn send(&mut self, kind: u8, body: &[u8]) {
        self.connection.write_all(&packet(kind, body)).unwrap();
    }

    fn read(&mut self) -> (u8, Vec<u8>) {
        let kind = self.read_byte();
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = self.read_byte();
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).unwrap();
        (kind, body)
    }

    fn read_byte(&mut self) -> u8 {
        let mut byte = [0];
        self.connection.read_exact(&mut byte).unwrap();
        byte[0]
    }
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend((text.len() as u16).to_be_bytes());
    body.extend(text.as_bytes());
}

/// Returns a packet of MQTT: its kind, its length and its body.
fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let low = (length % 128) as u8;
        length /= 128;
        packet.push(if length > 0 { low | 0x80 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}
