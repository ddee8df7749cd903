//! Who may read a partition, for the sake of liveness. What makes a takeover safe is the epoch: [`super::commit`].

/// Who holds a lease after an attempt to take or renew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// This node, since just now.
    Acquired,
    /// This node, as before.
    Renewed,
    /// Another node.
    HeldByOther,
}

impl LeaseState {
    /// What the script of `queue/lease.rs` answers.
    pub const fn code(self) -> i64 {
        match self {
            Self::Acquired => 2,
            Self::Renewed => 1,
            Self::HeldByOther => 0,
        }
    }

    /// What an answer of that script means.
    pub const fn from_code(code: i64) -> Self {
        match code {
            2 => Self::Acquired,
            1 => Self::Renewed,
            _ => Self::HeldByOther,
        }
    }
}

/// Who holds the lease after `node` has asked for it. Decided by the script of `queue/lease.rs`.
pub fn acquire<N: PartialEq>(holder: Option<&N>, node: &N) -> LeaseState {
    match holder {
        None => LeaseState::Acquired,
        Some(holder) if holder == node => LeaseState::Renewed,
        Some(_) => LeaseState::HeldByOther,
    }
}
