//! What to do about a port that another program has.

use anyhow::{Error, anyhow};
use thicket_compose::Error as StartError;

use super::place::Place;

/// Replaces the error of a taken port by one that says how to free it, and how to take another.
pub(super) fn explained(error: Error, place: &Place) -> Error {
    let Some(StartError::PortTaken { server, port }) = error.downcast_ref() else { return error };
    let (service, flag) = match *server {
        "mosquitto" => ("the service of Mosquitto (sudo systemctl disable --now mosquitto)", "mqtt"),
        "redis" => ("a service of Redis (sudo systemctl disable --now redis-server)", "redis"),
        "postgres" => ("a service of PostgreSQL (sudo systemctl disable --now postgresql)", "postgres"),
        _ => ("another engine", "http"),
    };
    let data = place.flag();
    anyhow!(
        "the port {port} of {server} is taken: it may be {service}, or another deployment of `thicket up`. Stop it, \
         or run `thicket up{data} --{flag}-port PORT` or `thicket up{data} --free-ports`"
    )
}
