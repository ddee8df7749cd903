//! `thicket try`: shows step by step what one message becomes under the configuration.
//!
//! - `args`: the command line.
//! - `steps`: decodes the message.
//! - `print`: prints the steps for people.

mod args;
mod print;
mod steps;

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
pub(crate) use args::TryArgs;
use chrono::Utc;

use crate::config::Config;
use crate::usage::WrongUsage;

/// Decodes a message and prints each step.
pub(crate) fn try_message(config: &Config, args: &TryArgs) -> anyhow::Result<ExitCode> {
    let payload = payload_of(args)?;
    let now_micros = args.arrival.map_or_else(|| Utc::now().timestamp_micros(), |arrival| arrival.0);
    let steps = steps::steps_of(config, &args.topic, payload, now_micros)?;
    args.format.print(&steps, print::print)?;
    let has_reading = steps.readings.iter().any(|reading| reading.sensor.is_some());
    Ok(if has_reading { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn payload_of(args: &TryArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(digits) = &args.hex {
        let bytes = bytes_of_hex(digits).context("--hex needs pairs of hexadecimal digits");
        return bytes.map_err(|error| WrongUsage(format!("{error:#}")).into());
    }
    match &args.file {
        Some(file) if file.as_os_str() == "-" => {
            let mut payload = Vec::new();
            std::io::stdin().read_to_end(&mut payload)?;
            Ok(payload)
        }
        Some(file) => std::fs::read(file).with_context(|| format!("cannot read {}", file.display())),
        None => Ok(args.payload.clone().unwrap_or_default().into_bytes()),
    }
}

fn bytes_of_hex(digits: &str) -> anyhow::Result<Vec<u8>> {
    let digits: Vec<char> = digits.chars().filter(|digit| !digit.is_whitespace()).collect();
    ensure!(digits.len().is_multiple_of(2), "the number of digits is odd");
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    Ok(digits.chunks(2).map(byte).collect::<Result<_, _>>()?)
}
