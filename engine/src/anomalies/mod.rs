//! `thicket anomalies`, and the same through HTTP: what was found, and what people say of it.

mod api;
mod row;
mod table;

pub(crate) use api::routes;
pub(crate) use table::{Anomaly, of_sensor};

use std::process::ExitCode;

use anyhow::Context as _;
use thicket_actors::writer::connect_postgres;
use thicket_detector::Label;

use crate::cli::{AnomaliesCommand, Format};
use crate::config::Config;
use crate::when;
use crate::words::count;
use table::{Filter, NewLabel};

/// Causes of an anomaly in a listing.
const CAUSES_SHOWN: usize = 3;

/// What may be said of an anomaly.
const LABELS: [(&str, Label); 3] =
    [("true", Label::True), ("false", Label::False), ("maintenance", Label::Maintenance)];

/// The label of a name.
pub(crate) fn label_named(name: &str) -> Option<Label> {
    LABELS.iter().find(|(known, _)| *known == name).map(|(_, label)| *label)
}

/// The names that [`label_named`] knows.
pub(crate) fn label_names() -> [&'static str; 3] {
    LABELS.map(|(name, _)| name)
}

fn name_of(label: Label) -> &'static str {
    match label {
        Label::True => "true",
        Label::False => "false",
        Label::Maintenance => "maintenance",
    }
}

/// Runs `thicket anomalies`.
pub(crate) async fn anomalies(config: &Config, command: AnomaliesCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = connect_postgres(&config.postgres.url)
        .await
        .context("postgresql does not answer: start it or set postgres.url")?;
    match command {
        AnomaliesCommand::List { sensor, since, unlabelled, limit, format } => {
            let filter = Filter { sensors: sensor, since, unlabelled, limit };
            let found = table::list(&mut postgres, &filter).await.context("run `thicket migrate` first?")?;
            print_list(&found, format)?;
        }
        AnomaliesCommand::Label { sensor, started, label, clear: _, note, author, format } => {
            let label = label.map(|label| NewLabel { label, note: &note, author: &author });
            let anomaly = table::label(&mut postgres, &sensor, started, label).await?;
            print_one(&anomaly, format)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print_list(found: &[Anomaly], format: Format) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string(found)?);
        return Ok(());
    }
    if found.is_empty() {
        println!("no anomalies");
    }
    for anomaly in found {
        println!("{}", headline(anomaly));
        for why in anomaly.causes.iter().filter(|why| why.share > 0.0).take(CAUSES_SHOWN) {
            println!("    {:>3.0} %  {}", why.share * 100.0, why.words());
        }
    }
    Ok(())
}

fn print_one(anomaly: &Anomaly, format: Format) -> anyhow::Result<()> {
    if format.json {
        println!("{}", serde_json::to_string(anomaly)?);
    } else {
        println!("{}", headline(anomaly));
    }
    Ok(())
}

fn headline(anomaly: &Anomaly) -> String {
    let end = match anomaly.ended {
        Some(ended) if anomaly.accepted => format!("until {}, when it became normal", when::show(ended)),
        Some(ended) => format!("until {}", when::show(ended)),
        None => "and goes on".to_owned(),
    };
    let label = anomaly.label.as_ref().map_or_else(String::new, |said| {
        let by = if said.author.is_empty() { String::new() } else { format!(" by {}", said.author) };
        let note = if said.note.is_empty() { String::new() } else { format!(": {}", said.note) };
        format!("  [{}{by}{note}]", name_of(said.label))
    });
    format!(
        "{}  {}  grade {:.3}, {} {end}{label}",
        when::show(anomaly.started),
        anomaly.sensor,
        anomaly.peak_grade,
        count(anomaly.readings, "reading")
    )
}
