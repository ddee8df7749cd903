//! What is known of each edge node besides its births: the number of its last message, and when a
//! new birth may be requested again.

use std::collections::HashMap;

use thicket_schema::Timestamp;

/// Microseconds between the first two requests to an edge node. The time doubles with each request.
const FIRST_PAUSE: i64 = 30_000_000;
/// Longest time between two requests, in microseconds. After twice this time without a request, the
/// times begin again.
const LONGEST_PAUSE: i64 = 3_600_000_000;

#[derive(Debug, Default)]
struct Node {
    seq: Option<u8>,
    requested: Option<Timestamp>,
    pause: i64,
}

/// Follows edge nodes. Nodes beyond the limit are not followed, so no birth is requested from them.
#[derive(Debug)]
pub(super) struct Rebirths {
    max_nodes: usize,
    nodes: HashMap<Box<str>, Node>,
}

impl Rebirths {
    pub(super) fn new(max_nodes: usize) -> Self {
        Self { max_nodes, nodes: HashMap::new() }
    }

    /// Counts a message of a node. Returns whether messages before it are missing. A message that is
    /// delivered again may have been counted before.
    pub(super) fn misses_messages(
        &mut self,
        node: &str,
        seq: Option<u64>,
        begins_the_count: bool,
        redelivered: bool,
    ) -> bool {
        let Some(seq) = seq.and_then(|seq| u8::try_from(seq).ok()) else { return false };
        let Some(node) = self.node(node) else { return false };
        let before = node.seq.replace(seq);
        !begins_the_count && !redelivered && before.is_some_and(|before| before.wrapping_add(1) != seq)
    }

    /// Whether a new birth may be requested from a node now. If so, the request counts.
    pub(super) fn may_request(&mut self, node: &str, now: Timestamp) -> bool {
        let Some(node) = self.node(node) else { return false };
        let since = node.requested.map(|requested| now.0.saturating_sub(requested.0));
        if since.is_some_and(|since| (0..node.pause).contains(&since)) {
            return false;
        }
        let begins_again = since.is_none_or(|since| since > 2 * LONGEST_PAUSE);
        node.pause = if begins_again { FIRST_PAUSE } else { (node.pause * 2).min(LONGEST_PAUSE) };
        node.requested = Some(now);
        true
    }

    fn node(&mut self, node: &str) -> Option<&mut Node> {
        if !self.nodes.contains_key(node) {
            if self.nodes.len() >= self.max_nodes {
                return None;
            }
            self.nodes.insert(node.into(), Node::default());
        }
        self.nodes.get_mut(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_count_is_seen_and_a_redelivery_is_none() {
        let mut rebirths = Rebirths::new(1);
        let mut misses =
            |seq, begins, redelivered| rebirths.misses_messages("plant/edge", Some(seq), begins, redelivered);
        assert!(!misses(7, false, false), "the first message that is seen");
        assert!(!misses(8, false, false));
        assert!(misses(10, false, false));
        assert!(!misses(8, false, true), "delivered again");
        assert!(!misses(9, false, false));
        assert!(!misses(0, true, false), "a birth begins the count");
        assert!(!misses(1, false, false));
        assert!(misses(255, false, false));
        assert!(!misses(0, false, false), "the count wraps");
        assert!(!misses(999, false, false), "no number of Sparkplug");
        assert!(!rebirths.misses_messages("plant/other", Some(1), false, false), "beyond the limit");
        assert!(!rebirths.may_request("plant/other", Timestamp(0)));
    }

    #[test]
    fn requests_become_rarer() {
        let mut rebirths = Rebirths::new(10);
        let second = 1_000_000;
        let times: Vec<i64> =
            (0..30_000).filter(|at| rebirths.may_request("plant/edge", Timestamp(at * second))).collect();
        assert_eq!(
            times,
            [0, 30, 90, 210, 450, 930, 1_890, 3_810, 7_410, 11_010, 14_610, 18_210, 21_810, 25_410, 29_010]
        );
        assert!(rebirths.may_request("plant/edge", Timestamp(40_000 * second)));
        assert!(!rebirths.may_request("plant/edge", Timestamp(40_029 * second)));
        assert!(rebirths.may_request("plant/edge", Timestamp(39_000 * second)), "the clock went back");
    }
}
