//! `thicket discover`: listens to a broker, and says which settings read its messages.
//!
//! - `args`: the command line.
//! - `capture`, `listen`: the messages of a file or a broker.
//! - `topics`, `groups`: groups topics by form, and messages by topic and device.
//! - `members`, `units`: what payloads tell of times, devices and units.
//! - `proposal`, `proposals`: which presets and subscriptions fit.
//! - `findings`: what the messages become under a proposal.
//! - `print`, `write`: shows the proposals, and writes them as a configuration.

mod args;
mod capture;
mod findings;
mod groups;
mod listen;
mod members;
mod print;
mod proposal;
mod proposals;
mod topics;
mod units;
mod write;

use std::io::BufReader;
use std::process::ExitCode;

use anyhow::Context as _;
pub(crate) use args::DiscoverArgs;
use capture::Capture;
use chrono::Utc;

use crate::config::Config;
use crate::terminal::errln;

/// Listens, and prints which settings fit. Fails if no message becomes a reading.
pub(crate) async fn discover(config: &Config, args: DiscoverArgs) -> anyhow::Result<ExitCode> {
    let mqtt = config.mqtt.first().context("the configuration has no broker")?;
    if let Some(path) = &args.write {
        write::check(path)?;
    }
    let capture = match &args.file {
        None => listen::listen(&mqtt.broker, &args).await?,
        Some(file) if file.as_os_str() == "-" => Capture::read(std::io::stdin().lock())?,
        Some(file) => {
            let input =
                std::fs::File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
            Capture::read(BufReader::new(input))?
        }
    };
    let proposals = proposals::proposals(&mqtt.messages, &capture, Utc::now().timestamp_micros())?;
    args.format.print(&proposals, |proposals| print::print(&capture, proposals))?;
    let found = proposals.iter().any(|proposal| proposal.findings.readings > 0);
    if let Some(path) = &args.write {
        if found {
            write::write(path, &mqtt.broker.url, &proposals)?;
            errln!("wrote {}; check it with `thicket check --config {0}`", path.display());
        } else {
            errln!("thicket: {} is not written: no message becomes a reading", path.display());
        }
    }
    if found && args.write.is_none() {
        errln!(
            "next: `thicket discover --write new.toml` writes these settings; copy its [[mqtt.subscriptions]] to the end of \
             the engine's thicket.toml, and restart the engine (of `thicket up`: `thicket down`, then `thicket up`)"
        );
    }
    Ok(if found { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests;
