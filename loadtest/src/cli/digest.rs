//! `thicket-loadtest digest`

use std::process::ExitCode;

use crate::digest;

/// Prints a SHA-256 over all readings, anomalies, dead letters and sensors, in an order of their own.
///
/// Two databases have the same digest when they hold the same rows, whatever engine, shards, crashes and order of commits
/// brought them there. It covers readings (sensor's name, time, field names, bits of the values, seq, bits of score and grade,
/// flags; by name and time), anomalies (all columns; by name and beginning), dead letters (topic, reason, payload, its
/// length; without position and time of arrival, which do not follow from what was published) and sensors (name and
/// fields; by name). One flipped bit changes it.
/// The tables are read as of one moment, and streamed.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database: postgres://user[:password]@host[:port]/database.
    #[arg(
        long,
        env = "THICKET__POSTGRES__URL",
        default_value = "postgres://thicket@localhost:5432/thicket",
        value_name = "URL",
        hide_env_values = true
    )]
    database: String,
    /// Print a JSON object with the digests and row counts of each table.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let digest = digest::digest(&arguments.database).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&digest)?);
    } else {
        println!("{}", digest.sha256);
        for (name, table) in [
            ("readings", &digest.readings),
            ("anomalies", &digest.anomalies),
            ("dead_letters", &digest.dead_letters),
            ("sensors", &digest.sensors),
        ] {
            println!("{} {name} {}", table.sha256, table.rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
