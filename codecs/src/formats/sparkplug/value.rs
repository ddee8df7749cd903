//! The value of a metric by its datatype.

use super::messages::MetricValue;
use crate::payload::{LeftOutReason, MAX_EXACT};

/// The numbers of the datatypes that hold a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are those of the specification")]
pub enum DataType {
    Int8 = 1,
    Int16 = 2,
    Int32 = 3,
    Int64 = 4,
    UInt8 = 5,
    UInt16 = 6,
    UInt32 = 7,
    UInt64 = 8,
    Float = 9,
    Double = 10,
    Boolean = 11,
}

impl DataType {
    const ALL: [Self; 11] = [
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::UInt8,
        Self::UInt16,
        Self::UInt32,
        Self::UInt64,
        Self::Float,
        Self::Double,
        Self::Boolean,
    ];

    /// Returns the datatype that a value without one has. An integer may be signed or not.
    pub(super) fn of_value(value: MetricValue) -> Option<Self> {
        match value {
            MetricValue::Int(_) | MetricValue::Long(_) => None,
            MetricValue::Float(_) => Some(Self::Float),
            MetricValue::Double(_) => Some(Self::Double),
            MetricValue::Boolean(_) => Some(Self::Boolean),
        }
    }
}

/// Returns the value of a metric as a number.
pub(super) fn read(datatype: u32, value: Option<MetricValue>) -> Result<f64, LeftOutReason> {
    let Some(datatype) = DataType::ALL.into_iter().find(|known| *known as u32 == datatype) else {
        return Err(LeftOutReason::OtherKind(kind_of(datatype)));
    };
    let (bits, is_long) = match value.ok_or(LeftOutReason::Missing)? {
        MetricValue::Int(bits) => (u64::from(bits), false),
        MetricValue::Long(bits) => (bits, true),
        MetricValue::Float(value) => return float(datatype, f64::from(value)),
        MetricValue::Double(value) => return float(datatype, value),
        MetricValue::Boolean(value) if datatype == DataType::Boolean => {
            return Ok(f64::from(u8::from(value)));
        }
        MetricValue::Boolean(_) => return Err(LeftOutReason::WrongType),
    };
    match datatype {
        DataType::Int8 => signed(bits, i64::from(bits as i8), u64::from(bits as u8)),
        DataType::Int16 => signed(bits, i64::from(bits as i16), u64::from(bits as u16)),
        DataType::Int32 => signed(bits, i64::from(bits as i32), u64::from(bits as u32)),
        DataType::Int64 if is_long => exact(bits.cast_signed()),
        DataType::Int64 => exact(i64::from(bits as u32)),
        DataType::UInt8 => unsigned(bits, u64::from(u8::MAX)),
        DataType::UInt16 => unsigned(bits, u64::from(u16::MAX)),
        DataType::UInt32 => unsigned(bits, u64::from(u32::MAX)),
        DataType::UInt64 => unsigned(bits, u64::MAX),
        DataType::Float | DataType::Double | DataType::Boolean => Err(LeftOutReason::WrongType),
    }
}

fn float(datatype: DataType, value: f64) -> Result<f64, LeftOutReason> {
    match datatype {
        DataType::Float | DataType::Double if value.is_finite() => Ok(value),
        DataType::Float | DataType::Double => Err(LeftOutReason::Missing),
        _ => Err(LeftOutReason::WrongType),
    }
}

/// Reads a signed integer. Senders extend its sign to 32 or 64 bits, or leave the other bits zero.
fn signed(bits: u64, value: i64, narrow: u64) -> Result<f64, LeftOutReason> {
    let extended = value.cast_unsigned();
    let is_value = bits == narrow || bits == extended || bits == extended & u64::from(u32::MAX);
    if is_value { exact(value) } else { Err(LeftOutReason::WrongType) }
}

fn unsigned(bits: u64, most: u64) -> Result<f64, LeftOutReason> {
    if bits > most {
        return Err(LeftOutReason::WrongType);
    }
    i64::try_from(bits).map_or(Err(LeftOutReason::Identifier), exact)
}

/// Returns an integer as a float, if the float holds it exactly.
fn exact(value: i64) -> Result<f64, LeftOutReason> {
    if value.unsigned_abs() > MAX_EXACT { Err(LeftOutReason::Identifier) } else { Ok(value as f64) }
}

/// The names of the datatypes of texts, dates and UUIDs.
const TEXT: &str = "a text";
const DATE: &str = "a date";
const UUID: &str = "a UUID";

/// Returns whether data often has such a metric alone: devices report a text, a date or an identifier
/// when it changes.
pub(super) fn comes_alone(reason: &LeftOutReason) -> bool {
    matches!(reason, LeftOutReason::OtherKind(TEXT | DATE | UUID) | LeftOutReason::Identifier)
}

/// Returns the name of a datatype that is no number.
fn kind_of(datatype: u32) -> &'static str {
    match datatype {
        12 | 14 => TEXT,
        13 => DATE,
        15 => UUID,
        16 => "a dataset",
        17 => "bytes",
        18 => "a file",
        19 => "a template",
        20 | 21 => "a property set",
        22..=34 => "an array",
        _ => "of an unknown datatype",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(datatype: DataType, value: MetricValue) -> Result<f64, LeftOutReason> {
        read(datatype as u32, Some(value))
    }

    #[test]
    fn signed_integers_are_read_in_every_width_in_which_they_are_sent() {
        for (datatype, bits, value) in [
            (DataType::Int8, 0xff, -1.0),
            (DataType::Int8, 0xffff_ffff, -1.0),
            (DataType::Int8, 0xffff_ff80, -128.0),
            (DataType::Int8, 127, 127.0),
            (DataType::Int16, 0xff38, -200.0),
            (DataType::Int16, 0xffff_ff38, -200.0),
            (DataType::Int32, 0xffff_fffe, -2.0),
            (DataType::UInt8, 255, 255.0),
            (DataType::UInt16, 65_535, 65_535.0),
            (DataType::UInt32, u32::MAX, 4_294_967_295.0),
            (DataType::Int64, 7, 7.0),
        ] {
            assert_eq!(of(datatype, MetricValue::Int(bits)), Ok(value), "{datatype:?} {bits:#x}");
        }
        for (datatype, bits, value) in [
            (DataType::Int8, u64::MAX, -1.0),
            (DataType::Int32, u64::MAX - 1, -2.0),
            (DataType::Int64, u64::MAX, -1.0),
            (DataType::UInt32, 4_294_967_295, 4_294_967_295.0),
            (DataType::UInt64, 1 << 53, 9_007_199_254_740_992.0),
        ] {
            assert_eq!(of(datatype, MetricValue::Long(bits)), Ok(value), "{datatype:?} {bits:#x}");
        }
    }

    #[test]
    fn a_value_of_another_type_is_left_out() {
        for (datatype, value) in [
            (DataType::Int8, MetricValue::Int(200_000)),
            (DataType::UInt8, MetricValue::Int(256)),
            (DataType::UInt32, MetricValue::Long(1 << 32)),
            (DataType::Float, MetricValue::Int(1)),
            (DataType::Int32, MetricValue::Float(1.0)),
            (DataType::Boolean, MetricValue::Double(1.0)),
            (DataType::Double, MetricValue::Boolean(true)),
        ] {
            assert_eq!(of(datatype, value), Err(LeftOutReason::WrongType), "{datatype:?}");
        }
        assert_eq!(of(DataType::Double, MetricValue::Double(f64::NAN)), Err(LeftOutReason::Missing));
        for bits in [(1 << 53) + 1, u64::MAX] {
            assert_eq!(of(DataType::UInt64, MetricValue::Long(bits)), Err(LeftOutReason::Identifier));
        }
        for datatype in [0, 12, 16, 17, 19, 22, 99] {
            assert!(matches!(read(datatype, None), Err(LeftOutReason::OtherKind(_))), "{datatype}");
        }
    }
}
