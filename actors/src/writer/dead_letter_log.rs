//! One log line a minute for dead letters, however many there are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use thicket_schema::text::excerpt;
use thicket_schema::{DeadLetter, Reason};

/// The least time between two lines.
const INTERVAL: Duration = Duration::from_mins(1);

/// Counts the dead letters of all writers of a node, and logs them.
#[derive(Clone, Debug, Default)]
pub struct DeadLetterLog {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// When the last line was logged.
    logged: Option<Instant>,
    /// The dead letters since then, by reason.
    counts: BTreeMap<Reason, u64>,
    /// The first of them.
    example: Option<DeadLetter>,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
struct Summary {
    dead_letters: u64,
    /// The reasons, each with its number, the most frequent first.
    reasons: String,
    example: DeadLetter,
}

impl DeadLetterLog {
    /// Counts dead letters that were stored. `examples` has one for each reason.
    pub(super) fn add(&self, reasons: &[Reason], examples: &BTreeMap<Reason, DeadLetter>) {
        if reasons.is_empty() {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for reason in reasons {
            *state.counts.entry(*reason).or_default() += 1;
        }
        if state.example.is_none() {
            state.example = examples.values().next().cloned();
        }
        drop(state);
        self.log(Instant::now());
    }

    /// Logs the dead letters since the last line, if that was a minute ago or earlier.
    pub(super) fn log(&self, now: Instant) {
        let summary = self.state.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        let Some(Summary { dead_letters, reasons, example }) = summary else { return };
        let DeadLetter { topic, reason, detail, .. } = example;
        tracing::warn!(
            dead_letters,
            reasons,
            topic = excerpt(&topic),
            %reason,
            detail,
            "messages became dead letters; `thicket deadletter list` shows them"
        );
    }
}

impl State {
    fn take(&mut self, now: Instant) -> Option<Summary> {
        if self.logged.is_some_and(|logged| now.saturating_duration_since(logged) < INTERVAL) {
            return None;
        }
        let example = self.example.take()?;
        self.logged = Some(now);
        let mut counts: Vec<(Reason, u64)> = std::mem::take(&mut self.counts).into_iter().collect();
        counts.sort_by_key(|&(_, number)| std::cmp::Reverse(number));
        let reasons: Vec<String> =
            counts.iter().map(|(reason, number)| format!("{number} {reason}")).collect();
        let dead_letters = counts.iter().map(|(_, number)| number).sum();
        Some(Summary { dead_letters, reasons: reasons.join(", "), example })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_a_minute_with_each_reason_and_an_example() {
        let start = Instant::now();
        let mut state = State::default();
        assert_eq!(state.take(start), None, "there is none");
        let letter = |topic: &str| DeadLetter::new(topic, Reason::MalformedJson, "malformed JSON", b"{");
        let add = |state: &mut State, reason: Reason, topic: &str| {
            *state.counts.entry(reason).or_default() += 1;
            state.example.get_or_insert_with(|| letter(topic));
        };
        add(&mut state, Reason::MalformedJson, "a");
        assert_eq!(state.take(start).unwrap().reasons, "1 malformed_json", "the first is logged at once");
        for _ in 0..3 {
            add(&mut state, Reason::MalformedJson, "b");
        }
        add(&mut state, Reason::Empty, "c");
        assert_eq!(state.take(start + Duration::from_secs(59)), None);
        let summary = state.take(start + INTERVAL).unwrap();
        assert_eq!((summary.dead_letters, summary.reasons.as_str()), (4, "3 malformed_json, 1 empty"));
        assert_eq!(summary.example.topic, "b");
        assert_eq!(state.take(start + 3 * INTERVAL), None, "all are logged");
    }
}
