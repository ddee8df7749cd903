//! What a notification says of an anomaly.

use std::fmt;

/// What a notification says of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotificationKind {
    /// It began.
    Opened,
    /// It goes on.
    Reminder,
    /// A person labelled it.
    Label,
    /// It is over.
    Ended,
}

impl NotificationKind {
    const ALL: [Self; 4] = [Self::Opened, Self::Reminder, Self::Label, Self::Ended];

    /// Returns its name in the database and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reminder => "reminder",
            Self::Label => "label",
            Self::Ended => "ended",
        }
    }

    /// Returns the kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for NotificationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The kind of a row. The table allows no other names.
pub(super) fn kind_of(name: &str) -> NotificationKind {
    NotificationKind::from_name(name).unwrap_or(NotificationKind::Opened)
}
