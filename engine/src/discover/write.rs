//! Writes proposals as a configuration file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::proposal::Proposal;
use crate::format::count;
use crate::terminal::on_one_line;
use crate::usage::WrongUsage;

/// Fails if the file exists, or if there is no folder for it. Called before the broker is listened to.
pub(super) fn check(path: &Path) -> Result<(), WrongUsage> {
    if path.symlink_metadata().is_ok() {
        return Err(WrongUsage(format!("--write: {} exists; name a new file", path.display())));
    }
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
            Err(WrongUsage(format!("--write: there is no folder {}", folder.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a new configuration file. Refuses to replace a file.
pub(super) fn write(path: &Path, url: &str, proposals: &[Proposal]) -> anyhow::Result<()> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.with_context(|| format!("cannot create {}; name a new file", path.display()))?;
    file.write_all(text_of(url, proposals)?.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Returns the text of the file. Proposals without a reading are left out. Those of retained
/// messages alone are comments.
pub(super) fn text_of(url: &str, proposals: &[Proposal]) -> anyhow::Result<String> {
    let mut text = String::from(
        "# Proposed by `thicket discover`. `thicket try TOPIC PAYLOAD` shows what a message becomes.\n\n[mqtt]\n",
    );
    writeln!(text, "url = {}", toml::Value::from(url))?;
    for proposal in proposals.iter().filter(|proposal| proposal.findings.readings > 0) {
        let sensors = proposal.findings.sensors.len();
        let prefix = if proposal.findings.are_all_retained() { "# " } else { "" };
        writeln!(text, "\n# {}, such as {}.", count(sensors as u64, "sensor"), on_one_line(first(proposal)))?;
        for note in &proposal.notes {
            writeln!(text, "# {}", on_one_line(note))?;
        }
        writeln!(text, "{prefix}[[mqtt.subscriptions]]")?;
        // The order of the reference: what the subscription is, before how it is read.
        let order = ["preset", "topics", "templates", "sensor", "root", "timestamp_keys", "on_bad_time"];
        for key in order {
            if let Some(value) = proposal.keys.get(key) {
                let value = toml::Value::try_from(value)?;
                writeln!(text, "{prefix}{key} = {value}")?;
            }
        }
    }
    Ok(text)
}

fn first(proposal: &Proposal) -> &str {
    proposal.findings.sensors.first().map_or("", String::as_str)
}
