//! What people say about an anomaly.

use serde::{Deserialize, Serialize};

/// A person's label for an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// A true anomaly. It is not accepted as the new normal, however long it lasts. Its pattern begins
    /// an anomaly, however often it comes.
    True,
    /// No anomaly. From now on its pattern is normal.
    False,
    /// Planned work. From now on its pattern is normal.
    Maintenance,
}

impl Label {
    /// Returns the label's name: `true`, `false` or `maintenance`.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Maintenance => "maintenance",
        }
    }

    /// Returns the label with this name, or `None` if there is none.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Maintenance].into_iter().find(|label| label.name() == name)
    }
}
