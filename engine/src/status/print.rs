//! The state of a deployment for people.

use thicket_store::redis::InFlight;

use super::report::{BrokerStatus, FieldsStatus, LedgerReport, Status, Totals};
use crate::backlog;
use crate::clocks::{Ahead, Behind, Clocks};
use crate::format::count;

/// Maximum number of lost ranges that are shown.
const LOSSES_SHOWN: usize = 10;

/// Maximum number of sensors with wrong clocks that are shown, of each direction.
const CLOCKS_SHOWN: usize = 10;

/// Prints the state of a deployment.
pub(super) fn print(status: &Status) {
    print_partitions(status);
    println!();
    println!("sensors      {}", status.sensors);
    print_fields(&status.fields);
    match status.detectors_in_memory {
        Some(number) => println!("detectors    {number} in memory"),
        None => println!("detectors    unknown: no engine answers at http.listen"),
    }
    println!("lag          {} entries of the log", status.totals.lag_entries);
    println!("anomalies    {}", status.anomalies);
    print_ledger(status);
    print_brokers(status);
    print_trouble(status);
    print_clocks(&status.clocks);
}

fn print_fields(fields: &FieldsStatus) {
    let FieldsStatus { scored, excluded, left_out, sensors_without_scored_field, examples } = fields;
    println!(
        "fields       {scored} scored; {excluded} stored only, by exclude; {left_out} stored only for another reason; `thicket sensors show NAME` says why"
    );
    if *sensors_without_scored_field > 0 {
        let more = if *sensors_without_scored_field > examples.len() as i64 { ", …" } else { "" };
        println!(
            "             {} without a scored field: {}{more}",
            count(*sensors_without_scored_field, "sensor"),
            examples.join(", ")
        );
    }
}

fn print_partitions(status: &Status) {
    println!(
        "{:<4} {:<22} {:>6} {:>8} {:>9} {:>12} {:>12}  owner",
        "part", "position", "epoch", "lag", "in flight", "delivered", "scored"
    );
    for partition in &status.partitions {
        println!(
            "{:<4} {:<22} {:>6} {:>8} {:>9} {:>12} {:>12}  {}",
            partition.partition,
            partition.position,
            partition.epoch,
            partition.lag_entries,
            partition.in_flight.map_or_else(|| "many".to_owned(), |records| records.to_string()),
            partition.ledger.delivered,
            partition.ledger.scored,
            partition.owner.as_deref().unwrap_or("nobody"),
        );
    }
}

fn print_ledger(status: &Status) {
    let Totals { ledger, lag_entries, in_flight } = &status.totals;
    let LedgerReport { delivered, scored, unscored, poison, late, duplicates, dead_letters, .. } = ledger;
    let LedgerReport { unaccounted, stored, expired, dead_letters_stored, .. } = ledger;
    println!(
        "ledger       {delivered} delivered = {scored} scored + {unscored} unscored + {poison} poison + {late} late + {duplicates} duplicates + {dead_letters} dead letters; {unaccounted} unaccounted"
    );
    println!("rows         {stored} stored now, {expired} expired by postgres.retention");
    let uncommitted = InFlight { entries: *lag_entries, records: *in_flight };
    println!("in flight    {}", backlog::words(uncommitted));
    let dropped = dead_letters - dead_letters_stored;
    println!("dead letters {dead_letters_stored} stored, {dropped} dropped by `thicket deadletter drop`");
    for (reason, dead_letters) in &status.dead_letters {
        println!("             {dead_letters} × {reason}");
    }
}

fn print_brokers(status: &Status) {
    for (name, broker) in status.brokers.iter().flatten() {
        let BrokerStatus { connected, connects, subscriptions_refused, client_id_conflict, held } = broker;
        let state = if *connected { "connected" } else { "NOT CONNECTED" };
        let connects = count(*connects, "connection");
        print!("broker       {name}: {state}, {connects} since the engine started");
        if *held > 0 {
            print!(", {} held back by queue.reorder", count(*held, "message"));
        }
        println!();
        if let Some(client_id) = client_id_conflict {
            println!(
                "             CONFLICT another client uses the client id {client_id}; give each deployment its own mqtt.client_id"
            );
        }
        if *subscriptions_refused > 0 {
            let filters = count(*subscriptions_refused, "topic filter");
            println!("             REFUSED {filters}; `thicket check` says why");
        }
    }
    if let Some(no_readings) = &status.no_readings {
        let kinds: Vec<String> =
            no_readings.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        println!("no readings  {} messages since the engine started", kinds.join(", "));
    }
}

/// Prints what the ledger does not show.
fn print_trouble(status: &Status) {
    match status.broker_dropped {
        Some(dropped) => println!("broker       {dropped} messages dropped since it started"),
        None => println!("broker       drops unknown: no engine answers at http.listen"),
    }
    if status.losses.is_empty() {
        println!("log          nothing lost");
    }
    for (index, loss) in status.losses.iter().take(LOSSES_SHOWN).enumerate() {
        println!("{}{}", if index == 0 { "log          LOST " } else { "             LOST " }, loss.words());
    }
    if status.losses.len() > LOSSES_SHOWN {
        println!("             and {} more in the table log_losses", status.losses.len() - LOSSES_SHOWN);
    }
    for (reason, readings) in &status.quarantined {
        println!("quarantine   {readings} × {reason}");
    }
}

/// Prints the sensors whose clocks are wrong.
fn print_clocks(Clocks { behind, ahead }: &Clocks) {
    if behind.is_empty() && ahead.is_empty() {
        println!("clocks       none is known to be wrong");
        return;
    }
    println!("clocks       {} behind, {} ahead", behind.len(), ahead.len());
    let words = |title: &str, all: Vec<String>| {
        for line in all.iter().take(CLOCKS_SHOWN) {
            println!("             {title} {line}");
        }
        if all.len() > CLOCKS_SHOWN {
            println!("             and {} more; --json has them", all.len() - CLOCKS_SHOWN);
        }
    };
    words("sensor", behind.iter().map(Behind::words).collect());
    words("topic", ahead.iter().map(Ahead::words).collect());
}
