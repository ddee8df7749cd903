//! The state of a deployment for people.

use thicket_store::redis::InFlight;

use super::report::{
    BrokerStatus, EngineStatus, FieldsStatus, LedgerReport, NodeStatus, PartitionStatus, StoresStatus, Totals,
};
use crate::backlog;
use crate::clocks::{Ahead, Behind, Clocks};
use crate::format::count;
use crate::terminal::{out, outln};

/// Maximum number of lost ranges that are shown.
const LOSSES_SHOWN: usize = 10;

/// Maximum number of sensors with wrong clocks that are shown, of each direction.
const CLOCKS_SHOWN: usize = 10;

/// Prints what the stores report, without the partitions.
pub(super) fn print_stores(status: &StoresStatus) {
    print_owners(status);
    print_ledger(status);
    print_trouble(status);
    outln!("sensors      {}", status.sensors);
    print_fields(&status.fields);
    outln!("anomalies    {}", status.anomalies);
    print_clocks(&status.clocks);
}

/// Prints what the engine reports.
pub(super) fn print_engine(status: &EngineStatus) {
    print_brokers(status);
    outln!("broker       {}", drops(status));
    if let Some(refused) = status.partitions_refused.filter(|&refused| refused > 0) {
        outln!(
            "partitions   {refused} are left to a newer build, which has scored them or written their logs; run that build"
        );
    }
    match status.detectors_in_memory {
        Some(number) => outln!("detectors    {number} in memory"),
        None => outln!("detectors    unknown: no engine answers at http.listen"),
    }
}

/// Prints all partitions, or only those that need attention.
pub(super) fn print_partitions(partitions: &[PartitionStatus], all: bool) {
    // Without an engine, no partition has an owner, and the first line says so.
    let has_engine = partitions.iter().any(|partition| partition.owner.is_some());
    print_table(partitions.iter().filter(|partition| all || partition.is_notable(has_engine)));
}

/// Prints how many partitions have an owner, and how many each node owns.
fn print_owners(status: &StoresStatus) {
    let owned = status.partitions.iter().filter(|partition| partition.owner.is_some()).count();
    let without = status.partitions.len() - owned;
    let engines = status.nodes.iter().filter(|node| node.partitions > 0).count();
    let owned = format!("{owned} of {} owned", status.partitions.len());
    let warning = if without > 0 { "; the others are processed by NO ENGINE" } else { "" };
    outln!("partitions   {owned} by {}{warning}", count(engines as u64, "engine"));
    if status.nodes.len() > 1 {
        for NodeStatus { node, partitions } in &status.nodes {
            outln!("             {partitions} of {node}");
        }
    }
}

fn print_fields(fields: &FieldsStatus) {
    let FieldsStatus { scored, excluded, left_out, sensors_without_scored_field, examples } = fields;
    outln!(
        "fields       {scored} scored; {excluded} stored only, by exclude; {left_out} stored only for another reason; `thicket sensors show NAME` says why"
    );
    if *sensors_without_scored_field > 0 {
        let more = if *sensors_without_scored_field > examples.len() as i64 { ", …" } else { "" };
        outln!(
            "             {} without a scored field: {}{more}",
            count(*sensors_without_scored_field, "sensor"),
            examples.join(", ")
        );
    }
}

fn print_table<'a>(partitions: impl Iterator<Item = &'a PartitionStatus>) {
    let mut partitions = partitions.peekable();
    if partitions.peek().is_none() {
        return;
    }
    outln!(
        "\n{:<4} {:<22} {:>6} {:>8} {:>9} {:>12} {:>12}  owner",
        "part",
        "position",
        "epoch",
        "lag",
        "in flight",
        "delivered",
        "scored"
    );
    for partition in partitions {
        outln!(
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

fn print_ledger(status: &StoresStatus) {
    let Totals { ledger, lag_entries, in_flight } = &status.totals;
    let LedgerReport { delivered, scored, unscored, poison, late, duplicates, dead_letters, .. } = ledger;
    let LedgerReport { unaccounted, stored, expired, dead_letters_stored, .. } = ledger;
    outln!(
        "ledger       {delivered} delivered = {scored} scored + {unscored} unscored + {poison} poison + {late} late + {duplicates} duplicates + {dead_letters} dead letters; {unaccounted} unaccounted"
    );
    outln!(
        "rows         {stored} stored now, {expired} deleted by postgres.retention or with forgotten sensors"
    );
    let uncommitted = InFlight { entries: *lag_entries, records: *in_flight };
    outln!("in flight    {}", backlog::words(uncommitted));
    let dropped = dead_letters - dead_letters_stored;
    outln!(
        "dead letters {dead_letters_stored} stored, {dropped} only counted, or deleted (dead_letters.keep, `thicket deadletter drop`)"
    );
    for (reason, dead_letters) in &status.dead_letters {
        outln!("             {dead_letters} × {reason}");
    }
}

fn print_brokers(status: &EngineStatus) {
    for (name, broker) in status.brokers.iter().flatten() {
        let BrokerStatus { connected, connects, subscriptions_refused, .. } = broker;
        let BrokerStatus { subscriptions_downgraded, client_id_conflict, held, .. } = broker;
        let state = match (connected, subscriptions_refused) {
            (true, _) => "connected",
            (false, 0) => "NOT CONNECTED",
            (false, _) => "NOT SUBSCRIBED",
        };
        let connects = count(*connects, "connection");
        out!("broker       {name}: {state}, {connects} since the engine started");
        if *held > 0 {
            out!(", {} held back by queue.reorder", count(*held, "message"));
        }
        outln!();
        if let Some(client_id) = client_id_conflict {
            outln!(
                "             CONFLICT another client uses the client id {client_id}; give each deployment its own mqtt.client_id"
            );
        }
        if *subscriptions_refused > 0 {
            let filters = count(*subscriptions_refused, "topic filter");
            outln!("             REFUSED {filters}; `thicket check` says why");
        }
        if *subscriptions_downgraded > 0 {
            let filters = count(*subscriptions_downgraded, "topic filter");
            outln!("             QOS 0   {filters}; messages are lost while no engine is connected");
        }
    }
    if let Some(no_readings) = &status.no_readings {
        let kinds: Vec<String> =
            no_readings.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
        outln!("no readings  {} messages since the engine started", kinds.join(", "));
    }
}

/// Says how many messages the brokers dropped, and how many of them report it.
pub(super) fn drops(status: &EngineStatus) -> String {
    let Some(brokers) = &status.brokers else {
        return "drops unknown: no engine answers at http.listen".to_owned();
    };
    let (all, reporting) =
        (brokers.len(), brokers.values().filter(|broker| broker.dropped.is_some()).count());
    let Some(dropped) = status.broker_dropped else {
        let nobody = if all == 1 { "the broker does not report them" } else { "no broker reports them" };
        return format!("drops unknown: {nobody}");
    };
    let dropped = count(dropped, "message");
    match (reporting, all) {
        (_, 1) => format!("{dropped} dropped since it started"),
        _ if reporting == all => format!("{dropped} dropped by {all} brokers since they started"),
        _ => format!("{dropped} dropped by {reporting} of {all} brokers; the others do not report drops"),
    }
}

/// Prints what the ledger does not show.
fn print_trouble(status: &StoresStatus) {
    if status.losses.is_empty() {
        outln!("log          nothing lost");
    }
    for (index, loss) in status.losses.iter().take(LOSSES_SHOWN).enumerate() {
        outln!("{}{}", if index == 0 { "log          LOST " } else { "             LOST " }, loss.words());
    }
    if status.losses.len() > LOSSES_SHOWN {
        outln!("             and {} more in the table log_losses", status.losses.len() - LOSSES_SHOWN);
    }
    for (reason, readings) in &status.quarantined {
        outln!("quarantine   {readings} × {reason}");
    }
}

/// Prints the sensors whose clocks are wrong.
fn print_clocks(Clocks { behind, ahead }: &Clocks) {
    if behind.is_empty() && ahead.is_empty() {
        outln!("clocks       none is known to be wrong");
        return;
    }
    outln!("clocks       {} behind, {} ahead", behind.len(), ahead.len());
    let words = |title: &str, all: Vec<String>| {
        for line in all.iter().take(CLOCKS_SHOWN) {
            outln!("             {title} {line}");
        }
        if all.len() > CLOCKS_SHOWN {
            outln!("             and {} more; --json has them", all.len() - CLOCKS_SHOWN);
        }
    };
    words("sensor", behind.iter().map(Behind::words).collect());
    words("topic", ahead.iter().map(Ahead::words).collect());
}
