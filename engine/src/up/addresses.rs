//! The ports of a deployment. They stay the same at the next start.

use std::fs;
use std::net::IpAddr;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use thicket_compose::{PortChoice, Ports};

use super::args::UpArgs;
use super::place::Place;
use super::private_file;

/// The default ports. Devices publish to the port of MQTT, and Prometheus reads the port of HTTP,
/// so both are the usual ones. The stores are private: their ports differ from those of services of
/// the distribution.
const DEFAULT: SavedPorts =
    SavedPorts { mqtt: 1883, redis: 14_379, postgres: 14_432, http: 9464, listen: None };

/// The ports of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPorts {
    pub(super) mqtt: u16,
    pub(super) redis: u16,
    pub(super) postgres: u16,
    pub(super) http: u16,
    /// The address beside 127.0.0.1 at which devices reach Mosquitto.
    #[serde(default)]
    pub(super) listen: Option<IpAddr>,
}

/// The ports to start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WantedPorts {
    pub(super) servers: Ports,
    pub(super) http: PortChoice,
    /// As in [`SavedPorts`].
    pub(super) listen: Option<IpAddr>,
}

impl WantedPorts {
    /// Returns the ports to start on: those of the flags, else those of the last start, else the
    /// default ones.
    pub(super) fn of(args: &UpArgs, saved: Option<SavedPorts>) -> Self {
        let before = saved.unwrap_or(DEFAULT);
        let port = |given: Option<u16>, before: u16| match given {
            Some(given) => PortChoice::Given(given),
            None if args.free_ports => PortChoice::Preferred(before),
            None => PortChoice::Given(before),
        };
        let servers = Ports {
            mosquitto: port(args.mqtt_port, before.mqtt),
            redis: port(args.redis_port, before.redis),
            postgres: port(args.postgres_port, before.postgres),
        };
        let listen = match args.listen {
            Some(address) if address.is_loopback() => None,
            given => given.or(before.listen),
        };
        Self { servers, http: port(args.http_port, before.http), listen }
    }

    /// Whether a deployment that runs on these ports is what is wanted.
    pub(super) fn fit(&self, running: SavedPorts) -> bool {
        let same =
            |wanted: PortChoice, port: u16| !matches!(wanted, PortChoice::Given(given) if given != port);
        same(self.servers.mosquitto, running.mqtt)
            && same(self.servers.redis, running.redis)
            && same(self.servers.postgres, running.postgres)
            && same(self.http, running.http)
            && self.listen == running.listen
    }
}

impl SavedPorts {
    /// Reads the ports of the last start, `None` if there was none.
    pub(super) fn read(place: &Place) -> anyhow::Result<Option<Self>> {
        let path = place.ports();
        match fs::read(&path) {
            Ok(text) => {
                let read = serde_json::from_slice(&text);
                read.map(Some).with_context(|| format!("cannot read {}; remove it", path.display()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Writes the ports for the next start.
    pub(super) fn write(self, place: &Place) -> anyhow::Result<()> {
        let path = place.ports();
        private_file::replace(&path, &serde_json::to_string(&self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: UpArgs,
    }

    fn wanted(line: &[&str], saved: Option<SavedPorts>) -> WantedPorts {
        let words = std::iter::once("up").chain(line.iter().copied());
        WantedPorts::of(&Line::parse_from(words).args, saved)
    }

    #[test]
    fn a_flag_wins_over_the_last_start_and_the_last_start_over_the_default() {
        let saved = SavedPorts { mqtt: 2001, redis: 2002, postgres: 2003, http: 2004, listen: None };
        let ports = wanted(&["--mqtt-port", "3001"], Some(saved));
        assert_eq!(ports.servers.mosquitto, PortChoice::Given(3001));
        assert_eq!((ports.servers.redis, ports.http), (PortChoice::Given(2002), PortChoice::Given(2004)));
        assert_eq!(wanted(&[], None).servers.mosquitto, PortChoice::Given(1883));
    }

    #[test]
    fn the_address_for_devices_stays_until_a_flag_takes_it_away() {
        let listen = Some(IpAddr::from([10, 0, 0, 7]));
        let saved = SavedPorts { listen, ..DEFAULT };
        assert_eq!(wanted(&["--listen", "10.0.0.7"], None).listen, listen);
        assert_eq!(wanted(&[], Some(saved)).listen, listen);
        assert_eq!(wanted(&["--listen", "127.0.0.1"], Some(saved)).listen, None);
        let earlier: SavedPorts =
            serde_json::from_str(r#"{"mqtt":1,"redis":2,"postgres":3,"http":4}"#).unwrap();
        assert_eq!(earlier.listen, None);
    }

    #[test]
    fn with_free_ports_only_a_port_of_a_flag_must_be_free() {
        let ports = wanted(&["--free-ports", "--http-port", "3004"], None);
        assert_eq!(ports.servers.mosquitto, PortChoice::Preferred(1883));
        assert_eq!(ports.http, PortChoice::Given(3004));
    }
}
