//! What to do about a port that another program has, or an address that this machine has not.

use anyhow::{Error, anyhow};
use thicket_compose::Error as StartError;

use super::place::Place;

/// Replaces the error of a taken port by one that says how to free it, and how to take another.
pub(super) fn explained(error: Error, place: &Place) -> Error {
    let data = place.flag();
    let (server, port) = match error.downcast_ref() {
        Some(StartError::PortTaken { server, port }) => (server, port),
        Some(StartError::AddressUnusable { .. }) => {
            return anyhow!(
                "{error}. `thicket up{data} --listen ADDRESS` names another address of this machine, \
                 `--listen 0.0.0.0` all of them, `--listen 127.0.0.1` none but this machine"
            );
        }
        _ => return error,
    };
    let (service, flag) = match *server {
        "mosquitto" => ("the service of Mosquitto (sudo systemctl disable --now mosquitto)", "mqtt"),
        "redis" => ("a service of Redis (sudo systemctl disable --now redis-server)", "redis"),
        "postgres" => ("a service of PostgreSQL (sudo systemctl disable --now postgresql)", "postgres"),
        _ => ("another engine", "http"),
    };
    anyhow!(
        "the port {port} of {server} is taken: it may be {service}, or another deployment of `thicket up`. Stop it, \
         or run `thicket up{data} --{flag}-port PORT` or `thicket up{data} --free-ports`"
    )
}
