//! The live nodes, as this node knows them. The thread of the leases writes and reads the
//! heartbeats; the keeper shares the partitions by them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use thicket_store::complaints;
use thicket_store::redis::Heartbeats;
use tokio::sync::watch;

/// Whether this node takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    /// Not yet: it is not ready to own partitions.
    #[default]
    Absent,
    /// It writes heartbeats.
    Present,
    /// It cannot claim partitions now: its heartbeat is removed.
    Paused,
    /// It shuts down.
    Leaving,
    /// Its heartbeat is removed.
    Gone,
}

/// The nodes of the last heartbeat that Redis answered.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// The live nodes, among them this one; empty before the first answer.
    pub(super) nodes: BTreeSet<String>,
    times: Option<Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    /// When the nodes changed.
    changed: Instant,
    /// When Redis answered last.
    seen: Instant,
}

impl View {
    /// Whether the view is of the last `period`, and the nodes did not change for as long.
    pub(super) fn is_settled(&self, period: Duration, now: Instant) -> bool {
        self.times.is_some_and(|Times { changed, seen }| {
            now.saturating_duration_since(seen) < period && now.saturating_duration_since(changed) >= period
        })
    }

    /// Notes the nodes of a heartbeat.
    pub(super) fn note(&mut self, nodes: BTreeSet<String>, now: Instant) {
        let known = self.times.filter(|_| self.nodes == nodes);
        self.times = Some(Times { changed: known.map_or(now, |times| times.changed), seen: now });
        self.nodes = nodes;
    }
}

/// What the thread of the leases and the keeper know of the nodes.
#[derive(Debug, Default)]
pub(super) struct LiveNodes {
    presence: watch::Sender<Presence>,
    view: watch::Sender<View>,
}

impl LiveNodes {
    /// Begins the heartbeats of this node.
    pub(super) fn join(&self) {
        self.change(Presence::Absent, Presence::Present);
    }

    /// Ends the heartbeats of this node: the other nodes give it no more partitions.
    pub(super) fn leave(&self) {
        self.presence.send_replace(Presence::Leaving);
    }

    /// Removes the heartbeat of this node until [`resume`](Self::resume): the other nodes give it no
    /// more partitions. Returns whether it wrote heartbeats.
    pub(super) fn pause(&self) -> bool {
        self.change(Presence::Present, Presence::Paused)
    }

    /// Begins the heartbeats again after [`pause`](Self::pause).
    pub(super) fn resume(&self) {
        self.change(Presence::Paused, Presence::Present);
    }

    /// Whether the heartbeats of this node are paused.
    pub(super) fn is_paused(&self) -> bool {
        *self.presence.borrow() == Presence::Paused
    }

    fn change(&self, from: Presence, to: Presence) -> bool {
        self.presence.send_if_modified(|presence| {
            let changes = *presence == from;
            *presence = if changes { to } else { *presence };
            changes
        })
    }

    /// Whether this node takes no more partitions: it has left, or its heartbeats are paused.
    pub(super) fn takes_none(&self) -> bool {
        matches!(*self.presence.borrow(), Presence::Paused | Presence::Leaving | Presence::Gone)
    }

    /// Returns the nodes of the last heartbeat.
    pub(super) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// Waits for the answer to the first heartbeat.
    pub(super) async fn known(&self) {
        // The sender lives as long as this.
        drop(self.view.subscribe().wait_for(|view| !view.nodes.is_empty()).await);
    }

    /// Returns a receiver that wakes when this node joins or leaves.
    pub(super) fn presence_changes(&self) -> PresenceChanges {
        PresenceChanges(self.presence.subscribe())
    }

    /// Writes or removes the heartbeat of this node.
    pub(super) async fn beat(&self, heartbeats: &Heartbeats) {
        let presence = *self.presence.borrow();
        let outcome = match presence {
            Presence::Absent | Presence::Gone => return,
            Presence::Paused => heartbeats.end().await,
            Presence::Present => heartbeats.beat().await.map(|nodes| {
                self.view.send_modify(|view| view.note(nodes, Instant::now()));
            }),
            Presence::Leaving => heartbeats.end().await.map(|()| {
                self.presence.send_if_modified(|presence| {
                    *presence = Presence::Gone;
                    false
                });
            }),
        };
        // The heartbeat of this node may expire. Then other nodes take its partitions over.
        if let Err(error) = outcome
            && let Some(repeated) = complaints::due("write a heartbeat", &error)
        {
            tracing::warn!(%error, repeated, "cannot write the heartbeat of this node; retrying");
        }
    }
}

/// Wakes when this node joins or leaves.
pub(super) struct PresenceChanges(watch::Receiver<Presence>);

impl PresenceChanges {
    /// Waits until this node joins or leaves.
    pub(super) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_settled_once_the_nodes_have_stayed_the_same() {
        let (period, start) = (Duration::from_secs(3), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let nodes = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let mut view = View::default();
        assert!(!view.is_settled(period, at(9)), "nothing is known");
        view.note(nodes(&["a"]), at(0));
        view.note(nodes(&["a"]), at(2));
        assert!(!view.is_settled(period, at(2)) && view.is_settled(period, at(4)));
        assert!(!view.is_settled(period, at(5)), "redis has not answered for the period");
        view.note(nodes(&["a", "b"]), at(5));
        assert!(!view.is_settled(period, at(6)), "a node has joined");
        view.note(nodes(&["a", "b"]), at(8));
        assert!(view.is_settled(period, at(8)));
    }

    #[test]
    fn a_node_that_has_left_does_not_join_again() {
        let nodes = LiveNodes::default();
        nodes.join();
        assert!(!nodes.takes_none());
        nodes.leave();
        nodes.join();
        nodes.resume();
        assert!(nodes.takes_none() && !nodes.pause());
    }

    #[test]
    fn a_pause_ends_with_a_resume() {
        let nodes = LiveNodes::default();
        assert!(!nodes.pause(), "it has no heartbeat");
        nodes.join();
        assert!(nodes.pause() && !nodes.pause());
        assert!(nodes.is_paused() && nodes.takes_none());
        nodes.join();
        assert!(nodes.is_paused());
        nodes.resume();
        assert!(!nodes.takes_none());
    }
}
