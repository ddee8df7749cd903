//! A queue writer that breaks a rule on purpose, to see whether the crash tests notice. Never in a release.

use thicket_store::faults;

use crate::messages::Append;

/// Acknowledges a message before it is in the log, if a test breaks the rule.
pub(super) fn acknowledge_before_append(mut append: Append) -> Append {
    if !faults::keeps("rule.acknowledge_after_append")
        && let Some(delivery) = append.delivery.take()
    {
        delivery.acknowledge();
    }
    append
}
