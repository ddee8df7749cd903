//! A queue writer that breaks a rule on purpose: the crash tests must notice it. Never in a
//! release.

use thicket_store::faults;

use crate::messages::Append;

/// If a test breaks the rule, acknowledges a message before it is in the log.
pub(super) fn acknowledge_before_append(mut append: Append) -> Append {
    if !faults::keeps("rule.acknowledge_after_append")
        && let Some(delivery) = append.delivery.take()
    {
        delivery.acknowledge();
    }
    append
}
