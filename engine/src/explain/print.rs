//! An explanation for people.

use thicket_detector::{
    AwayExplanation, Explanation, NeighbourExplanation, RatedValue, StepExplanation, StuckExplanation,
    ViewExplanation,
};
use thicket_store::postgres::by_share;

use super::explained::Explained;
use super::stored::ScoreValues;
use crate::format::{self, number};
use crate::terminal::outln;
use crate::time_arg;

/// Maximum number of contributions of a view that are shown.
const CONTRIBUTIONS: usize = 8;
/// Contributions below this share are not shown.
const LEAST_CONTRIBUTION: f64 = 0.005;

/// Prints an explanation.
pub(super) fn print(explained: &Explained) {
    let Explained { sensor, ts, seq, values, stored, flags, explanation, .. } = explained;
    outln!("{sensor} at {}, reading {seq}\n", time_arg::show(*ts));
    let width = values.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, value) in values {
        outln!("  {name:<width$}  {value}");
    }
    outln!();
    let grade = stored.grade.map_or_else(|| "none yet".to_owned(), |grade| format!("{grade:.4}"));
    outln!("score       {}", number(stored.score));
    outln!("grade       {grade}");
    outln!("confidence  {:.2}", stored.confidence);
    outln!("onset       {:.4}", stored.onset);
    outln!("flags       {}", if flags.is_empty() { "none".to_owned() } else { flags.join(", ") });
    print_rarity(explanation, explained.alarms_per_week);
    outln!("computed    {}", reproduction(explained));
    print_steps(&explanation.steps);
    print_stuck(&explanation.stuck);
    print_away(&explanation.away);
    let fields: Vec<&str> = explanation.causes.iter().map(|cause| cause.field.as_str()).collect();
    let fields = fields.join(", ");
    for view in &explanation.views {
        print_view(view, &fields);
    }
    outln!("\nwhat was expected");
    for cause in by_share(explanation.causes.clone()) {
        outln!(
            "  {:>5.1} %  {} (usually {})",
            cause.share * 100.0,
            format::cause(&cause),
            number(cause.expected)
        );
    }
}

fn print_rarity(explanation: &Explanation, alarms_per_week: f64) {
    let Explanation { surprise, strongest_view, rarity, threshold, past, interval_seconds, .. } = explanation;
    let often = if *rarity < 12.0 {
        format!("one reading in {}", number(10_f64.powf(*rarity).round()))
    } else {
        "less than one reading in 10^12".to_owned()
    };
    outln!("rarity      {rarity:.3}: {often} is expected to be as rare");
    outln!(
        "threshold   {threshold:.3}: alarms_per_week = {}, at a reading every {} s",
        number(alarms_per_week),
        number(*interval_seconds)
    );
    outln!(
        "surprise    {surprise:.3} over all views, {strongest_view:.3} in the strongest view; {past} past readings"
    );
}

fn print_steps(steps: &[StepExplanation]) {
    if steps.is_empty() {
        return;
    }
    let width = steps.iter().map(|step| step.field.chars().count()).max().unwrap_or(0);
    outln!("\nrarity of stepwise fields, which take few values");
    outln!("  {:<width$} {:>8} {:>8} {:>8}", "", "value", "change", "stay");
    for StepExplanation { field, value, change, stay } in steps {
        outln!("  {field:<width$} {value:>8.3} {change:>8.3} {stay:>8.3}");
    }
}

fn print_stuck(stuck: &[StuckExplanation]) {
    if stuck.is_empty() {
        return;
    }
    outln!("\nfields that are stuck: they repeat their value far longer than before");
    for StuckExplanation { field, readings, rarity } in stuck {
        outln!("  {field}: {readings} readings with this value, rarity {rarity:.3}");
    }
}

fn print_away(away: &[AwayExplanation]) {
    if away.is_empty() {
        return;
    }
    outln!("\nfields that have been away from the value at which they rest for far longer than before");
    for AwayExplanation { field, rest, readings, rarity } in away {
        outln!("  {field}: not at {rest} for {readings} readings, rarity {rarity:.3}");
    }
}

fn reproduction(explained: &Explained) -> String {
    let Explained { stored, computed, replayed, .. } = explained;
    let from = replayed.checkpoint.map_or_else(
        || format!("from {} stored rows", replayed.rows),
        |seq| format!("from the checkpoint after reading {seq} and {} rows", replayed.rows),
    );
    if explained.reproduced {
        return format!("the same, bit for bit, {from}");
    }
    let ScoreValues { score, grade, .. } = computed;
    let gone = match replayed.oldest_seq {
        Some(oldest) if oldest > 1 => {
            format!(
                " Rows before reading {oldest} are no longer stored, or were scored with another configuration."
            )
        }
        _ => String::new(),
    };
    format!(
        "DIFFERENT {from} ({} of them differ too): score {score} instead of {}, grade {} instead of {}.{gone}",
        replayed.mismatches,
        stored.score,
        grade.map_or_else(|| "none".to_owned(), |grade| grade.to_string()),
        stored.grade.map_or_else(|| "none".to_owned(), |grade| grade.to_string())
    )
}

fn print_view(view: &ViewExplanation, fields: &str) {
    outln!(
        "\n{:<16} {:>12} {:>7} {:>12} {:>7} {:>12} {:>7}",
        format!("view {}", view.name),
        "value",
        "rarity",
        "short mean",
        "rarity",
        "long mean",
        "rarity"
    );
    for measure in &view.measures {
        let means = measure.means;
        let [present, short, long] =
            [Some(measure.present), means.map(|means| means.short), means.map(|means| means.long)].map(rated);
        outln!("  {:<14} {present} {short} {long}", measure.name);
    }
    let mut parts: Vec<_> =
        view.contributions.iter().filter(|(_, _, part)| *part >= LEAST_CONTRIBUTION).collect();
    parts.sort_by(|a, b| b.2.total_cmp(&a.2));
    for (name, lag, part) in parts.into_iter().take(CONTRIBUTIONS) {
        let lag = if *lag == 0 { String::new() } else { format!(", {lag} readings before") };
        outln!("  {:>5.1} %  {name}{lag}", part * 100.0);
    }
    let Some(nearest) = view.neighbours.first() else { return };
    let fields = if nearest.values.is_empty() { String::new() } else { format!(" ({fields})") };
    outln!("  nearest readings{fields}");
    for nearest in &view.neighbours {
        outln!("    {}", neighbour(nearest));
    }
}

/// Returns a value and its rarity, in two columns.
fn rated(value: Option<RatedValue>) -> String {
    value.map_or_else(
        || format!("{:>12} {:>7}", "-", "-"),
        |RatedValue { value, rarity }| format!("{:>12} {rarity:>7.3}", number(value)),
    )
}

fn neighbour(neighbour: &NeighbourExplanation) -> String {
    let NeighbourExplanation { values, distance, count } = neighbour;
    let values: Vec<String> = values.iter().map(|value| number(*value)).collect();
    let times = if *count > 1 { format!(", {count} times") } else { String::new() };
    let values = if values.is_empty() { String::new() } else { format!("({}) ", values.join(", ")) };
    format!("{values}at distance {}{times}", number(*distance))
}
