//! Keeps the Sparkplug births of a broker in Redis: a birth is stored before its message goes to the
//! log, and all are restored when the session begins.

use std::cell::RefCell;

use thicket_codecs::formats::sparkplug::BirthChange;
use thicket_store::complaints;
use thicket_store::redis::BirthStore;

use super::decode::MessageDecoder;

/// The births of one broker.
pub(super) struct Births {
    store: BirthStore,
    /// Changes that the decoder has made and Redis does not have yet, in their order.
    unsaved: RefCell<Vec<BirthChange>>,
}

impl Births {
    pub(super) fn new(store: BirthStore) -> Self {
        Self { store, unsaved: RefCell::default() }
    }

    /// Restores the stored births into a decoder. Another node may have stored them. Returns whether
    /// Redis answered.
    pub(super) async fn load(&self, decoder: &MessageDecoder) -> bool {
        if !decoder.reads_sparkplug() {
            return true;
        }
        if !self.save().await {
            return false;
        }
        match self.store.load().await {
            Ok(stored) => {
                decoder.restore_births(&stored);
                true
            }
            Err(error) => {
                if let Some(repeated) = complaints::due("load the Sparkplug births", &error) {
                    tracing::warn!(%error, repeated, "cannot load the Sparkplug births; retrying");
                }
                false
            }
        }
    }

    /// Adds a change that [`save`](Self::save) must store.
    pub(super) fn add(&self, change: BirthChange) {
        self.unsaved.borrow_mut().push(change);
    }

    /// Stores all changes. Returns whether Redis has them.
    pub(super) async fn save(&self) -> bool {
        loop {
            let Some(change) = self.unsaved.borrow().first().cloned() else { return true };
            let (name, birth) = &change.learnt;
            if let Err(error) = self.store.change(name, birth, &change.forgotten).await {
                if let Some(repeated) = complaints::due("store a Sparkplug birth", &error) {
                    tracing::warn!(%error, repeated, "cannot store a Sparkplug birth; retrying");
                }
                return false;
            }
            self.unsaved.borrow_mut().remove(0);
        }
    }
}
