//! Proposes subscriptions for captured messages.

use std::collections::BTreeMap;

use figment::value::{Dict, Value};
use thicket_actors::source::filter_receives;

use super::capture::{Capture, Message};
use super::groups::{Group, groups};
use super::proposal::{Naming, Preset, Proposal};
use crate::config::{ConfigError, MessageConfig, merge_subscription};
use crate::presets;

/// Proposes subscriptions. First the presets are tried, then the rest is grouped by topic.
pub(super) fn proposals(
    base: &MessageConfig,
    capture: &Capture,
    now_micros: i64,
) -> Result<Vec<Proposal>, ConfigError> {
    let mut rest: Vec<&Message> = capture.messages.iter().collect();
    let mut proposals = Vec::new();
    for preset in presets_in_order(base)? {
        let (of_preset, others): (Vec<&Message>, Vec<&Message>) = rest
            .iter()
            .partition(|message| preset.filters.iter().any(|filter| filter_receives(filter, &message.topic)));
        if let Some(proposal) = Proposal::of_preset(preset, &of_preset, now_micros)? {
            proposals.push(proposal);
            rest = others;
        }
    }
    let of_presets = proposals.len();
    let groups = groups(&rest);
    for group in &groups {
        proposals.push(Proposal::of_group(base, group, Naming::Captures, now_micros));
    }
    let propose = |group: &Group<'_>| Proposal::of_group(base, group, Naming::Levels, now_micros);
    name_apart(&mut proposals, of_presets, &groups, propose);
    Ok(proposals)
}

/// Names the sensors of groups by all levels of their topics if another proposal has one of their
/// names: two devices must not become one sensor.
fn name_apart<'m>(
    proposals: &mut [Proposal],
    of_presets: usize,
    groups: &[Group<'m>],
    by_levels: impl Fn(&Group<'m>) -> Proposal,
) {
    let mut waiting: Vec<usize> = (0..groups.len()).collect();
    loop {
        let common = with_common_names(proposals);
        let (renamed, others): (Vec<usize>, Vec<usize>) =
            waiting.into_iter().partition(|group| common.contains_key(&(of_presets + group)));
        if renamed.is_empty() {
            for (proposal, sensor) in common {
                proposals[proposal].notes.push(format!(
                    "The sensor {sensor} is also one of another subscription. Set sensor to keep them apart."
                ));
            }
            return;
        }
        for group in renamed {
            proposals[of_presets + group] = by_levels(&groups[group]);
        }
        waiting = others;
    }
}

/// Returns the proposals that have a sensor's name in common with another one, each with such a
/// name.
fn with_common_names(proposals: &[Proposal]) -> BTreeMap<usize, String> {
    let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, proposal) in proposals.iter().enumerate() {
        for sensor in &proposal.findings.sensors {
            by_name.entry(sensor).or_default().push(index);
        }
    }
    let common = by_name.into_iter().filter(|(_, proposals)| proposals.len() > 1);
    common.flat_map(|(name, all)| all.into_iter().map(move |index| (index, name.to_owned()))).collect()
}

/// Returns the presets, last those whose topics begin with any text: they also receive the messages
/// of others.
fn presets_in_order(base: &MessageConfig) -> Result<Vec<Preset>, ConfigError> {
    let preset = |name| {
        let keys = Dict::from([("preset".to_owned(), Value::from(name))]);
        let subscriptions = merge_subscription(base, &keys)?;
        let filters = subscriptions.iter().flat_map(|one| one.topics.iter().cloned()).collect();
        Ok::<_, ConfigError>(Preset { name, keys, subscriptions, filters })
    };
    let mut presets: Vec<Preset> = presets::names().into_iter().map(preset).collect::<Result<_, _>>()?;
    presets.sort_by_key(|preset| preset.filters.iter().any(|filter| filter.starts_with(['+', '#'])));
    Ok(presets)
}
