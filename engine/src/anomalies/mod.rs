//! `thicket anomalies`, and the same through HTTP: lists anomalies and changes their labels.

mod api;
pub(crate) mod args;
mod label;
mod print;

pub(crate) use api::routes;

use std::process::ExitCode;

use anyhow::Context as _;
use thicket_store::postgres::{AnomalyFilter, NewLabel, list_anomalies};

use self::args::AnomaliesCommand;
use self::label::change_label;
use self::print::{print_list, print_one};
use crate::config::Config;
use crate::stores::{self, TABLES_MISSING};

/// Runs `thicket anomalies`.
pub(crate) async fn anomalies(config: &Config, command: AnomaliesCommand) -> anyhow::Result<ExitCode> {
    let mut postgres = stores::postgres(config).await?;
    match command {
        AnomaliesCommand::List { sensor, since, unlabelled, limit, format } => {
            let filter = AnomalyFilter { sensors: sensor, since, unlabelled, limit };
            let found = list_anomalies(&mut postgres, &filter).await.context(TABLES_MISSING)?;
            format.print(&found, |found| print_list(found))?;
        }
        AnomaliesCommand::Label { sensor, started, label, clear: _, note, author, format } => {
            let new = label.map(|label| NewLabel { label, note: &note, author: &author });
            let anomaly = change_label(&mut postgres, &sensor, started, new).await?;
            format.print(&anomaly, print_one)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
