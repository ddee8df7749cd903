//! Proposals for people.

use super::capture::Capture;
use super::findings::Findings;
use super::proposal::Proposal;
use crate::format::count;
use crate::terminal::{on_one_line, outln};

/// Names that are shown of each kind.
const SHOWN: usize = 8;

/// Prints what was heard and what fits.
pub(super) fn print(capture: &Capture, proposals: &[Proposal]) {
    let messages = count(capture.messages.len() as u64, "message");
    match capture.seconds {
        Some(seconds) => outln!("{messages} in {seconds:.0} s"),
        None => outln!("{messages}"),
    }
    if capture.beyond_limits > 0 {
        outln!("{} more were not kept: listen for a shorter time, or to fewer topics", capture.beyond_limits);
    }
    if capture.unreadable > 0 {
        outln!("{} of the file are no messages", count(capture.unreadable, "line"));
    }
    for proposal in proposals {
        print_proposal(proposal, capture.seconds);
    }
}

fn print_proposal(proposal: &Proposal, seconds: Option<f64>) {
    let Proposal { filters, topics, preset, notes, findings, .. } = proposal;
    let fit = match preset {
        Some(preset) => format!("preset {preset}"),
        None if findings.readings > 0 => findings.formats.keys().cloned().collect::<Vec<_>>().join(", "),
        None => "no readings".to_owned(),
    };
    outln!("\n{}: {fit}", on_one_line(&filters.join(", ")));
    let live = findings.messages - findings.retained;
    let rate = match seconds {
        Some(seconds) if seconds > 0.0 => format!(", {:.2} per second", live as f64 / seconds),
        _ => String::new(),
    };
    outln!("  topics    {topics} with {}{rate}", count(findings.messages, "message"));
    if !findings.sensors.is_empty() {
        let sensors = findings.sensors.iter().map(String::as_str);
        outln!("  sensors   {}", some_of(sensors, findings.sensors.len()));
        let fields = findings.fields.keys().map(|field| match findings.units.get(field) {
            Some(unit) => format!("{field} ({unit})"),
            None => field.clone(),
        });
        outln!("  fields    {}", some_of(fields, findings.fields.len()));
    }
    print_losses(findings);
    for note in notes {
        outln!("  note      {}", on_one_line(note));
    }
}

fn print_losses(findings: &Findings) {
    for (index, (path, member)) in findings.left_out.iter().take(SHOWN).enumerate() {
        let label = if index == 0 { "left out" } else { "" };
        outln!("  {label:<9} {} {} ({})", on_one_line(path), on_one_line(&member.reason), member.count);
    }
    if findings.left_out.len() > SHOWN {
        outln!("  {:<9} and {} more members", "", findings.left_out.len() - SHOWN);
    }
    if findings.ignored > 0 {
        outln!("  ignored   {}: no readings, no dead letters", count(findings.ignored, "message"));
    }
    for (reason, letter) in &findings.dead_letters {
        outln!(
            "  letters   {} {reason}, such as {}: {}",
            letter.count,
            on_one_line(&letter.topic),
            on_one_line(&letter.detail)
        );
    }
}

fn some_of(names: impl Iterator<Item = impl Into<String>>, total: usize) -> String {
    let shown: Vec<String> = names.take(SHOWN).map(|name| on_one_line(&name.into())).collect();
    let more = total.saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
