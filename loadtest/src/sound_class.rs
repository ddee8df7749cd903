//! The ten sound classes of `UrbanSound8K`, and the role of each in a scenario.

use serde::{Deserialize, Serialize};

/// A class of city sound, numbered as in `UrbanSound8K`'s `classID` column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names explain themselves")]
pub enum SoundClass {
    AirConditioner = 0,
    CarHorn = 1,
    ChildrenPlaying = 2,
    DogBark = 3,
    Drilling = 4,
    EngineIdling = 5,
    GunShot = 6,
    Jackhammer = 7,
    Siren = 8,
    StreetMusic = 9,
}

use SoundClass::{
    AirConditioner, CarHorn, ChildrenPlaying, DogBark, Drilling, EngineIdling, GunShot, Jackhammer, Siren,
    StreetMusic,
};

impl SoundClass {
    /// All classes, in the order of their ids.
    pub const ALL: [Self; 10] = [
        AirConditioner,
        CarHorn,
        ChildrenPlaying,
        DogBark,
        Drilling,
        EngineIdling,
        GunShot,
        Jackhammer,
        Siren,
        StreetMusic,
    ];

    /// The classes of everyday sounds.
    pub const AMBIENT: [Self; 4] = [AirConditioner, ChildrenPlaying, EngineIdling, StreetMusic];

    /// The classes of unusual sounds, which become the labelled events.
    pub const EVENTS: [Self; 6] = [CarHorn, DogBark, Drilling, GunShot, Jackhammer, Siren];

    /// Returns the `classID` of the data set.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// Returns the class with this `classID`, or `None`.
    pub fn from_id(id: u8) -> Option<Self> {
        Self::ALL.get(usize::from(id)).copied()
    }

    /// Returns the name in the data set's `class` column.
    pub fn name(self) -> &'static str {
        match self {
            AirConditioner => "air_conditioner",
            CarHorn => "car_horn",
            ChildrenPlaying => "children_playing",
            DogBark => "dog_bark",
            Drilling => "drilling",
            EngineIdling => "engine_idling",
            GunShot => "gun_shot",
            Jackhammer => "jackhammer",
            Siren => "siren",
            StreetMusic => "street_music",
        }
    }
}

impl std::fmt::Display for SoundClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_those_of_the_data_set() {
        for (id, class) in SoundClass::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(class.id()), id);
            assert_eq!(SoundClass::from_id(id as u8), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.name());
        }
        assert_eq!(SoundClass::from_id(10), None);
    }

    #[test]
    fn every_class_is_either_ambient_or_an_event() {
        for class in SoundClass::ALL {
            assert_ne!(SoundClass::AMBIENT.contains(&class), SoundClass::EVENTS.contains(&class), "{class}");
        }
    }
}
