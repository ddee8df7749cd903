//! Which node may read a partition. Leases are for liveness only. The epoch makes a takeover safe:
//! see [`commit`](crate::commit).

/// The state of a lease after a node has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseState {
    /// The node has taken the lease.
    Acquired,
    /// The node held the lease and has renewed it.
    Renewed,
    /// Another node holds the lease.
    HeldByOther,
}

impl LeaseState {
    /// Returns its code in the replies of `acquire.lua`.
    pub const fn code(self) -> i64 {
        match self {
            Self::Acquired => 2,
            Self::Renewed => 1,
            Self::HeldByOther => 0,
        }
    }

    /// Returns the state with this code.
    pub const fn from_code(code: i64) -> Self {
        match code {
            2 => Self::Acquired,
            1 => Self::Renewed,
            _ => Self::HeldByOther,
        }
    }
}

/// Returns the state of a lease after `node` has asked for it. `acquire.lua` decides this inside
/// Redis.
pub fn acquire<N: PartialEq>(holder: Option<&N>, node: &N) -> LeaseState {
    match holder {
        None => LeaseState::Acquired,
        Some(holder) if holder == node => LeaseState::Renewed,
        Some(_) => LeaseState::HeldByOther,
    }
}
