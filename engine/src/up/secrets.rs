//! The passwords of a deployment: random, made at the first start, in files that only the user can
//! read.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;

use anyhow::Context as _;
use thicket_compose::{DEVICE, password_in};

use super::place::Place;
use super::private_file;

/// The programs of the package mosquitto-clients, which read a file of their own name.
const CLIENTS: [&str; 3] = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"];

/// The passwords of a deployment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    /// That of the engine at every server.
    pub(super) engine: String,
    /// That of devices at Mosquitto.
    pub(super) device: String,
}

impl Secrets {
    /// Reads the passwords, and makes those that are missing.
    pub(super) fn of(place: &Place) -> anyhow::Result<Self> {
        Ok(Self { engine: password_in(&place.password())?, device: password_in(&place.device_password())? })
    }

    /// Writes the options with which `mosquitto_pub` and `mosquitto_sub` reach the broker, so that
    /// no password stands on a command line.
    pub(super) fn write_client_options(&self, place: &Place, port: u16) -> anyhow::Result<()> {
        let directory = place.clients();
        let text = format!("-h 127.0.0.1\n-p {port}\n-u {DEVICE}\n-P {}\n", self.device);
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            CLIENTS.iter().try_for_each(|name| private_file::replace(&directory.join(name), &text))
        };
        write().with_context(|| format!("cannot write into {}", directory.display()))
    }
}
