//! Remembers the shapes of objects. Devices send the same members in the same order again and
//! again.

use std::collections::HashMap;
use std::sync::Arc;

use thicket_schema::text::excerpt;
use thicket_schema::{FieldSet, FieldSetError};

use super::error::PayloadError;

/// Memory that the known shapes may take. Beyond it, all are forgotten. It holds thousands of
/// shapes, so only a fleet that invents names reaches it.
const MAX_BYTES: usize = 8 << 20;

/// Known shapes by their names, in the order of the object, joined by line feeds.
#[derive(Default)]
pub(super) struct Shapes {
    known: Vec<Shape>,
    /// Indices in `known`.
    by_names: HashMap<Arc<str>, usize>,
    /// Index of the shape of the last object. The next object has it too, most probably.
    recent: usize,
    bytes: usize,
}

struct Shape {
    names: Arc<str>,
    fields: FieldSet,
    /// For each field the index of its value in the object; `None` if the object is in order.
    order: Option<Box<[u32]>>,
    /// Number of values.
    width: usize,
}

impl Shapes {
    /// Returns the field set of names in the order of an object, and the values in the order of the
    /// set.
    pub(super) fn sort(&mut self, names: &str, values: &[f64]) -> Result<(FieldSet, Vec<f64>), PayloadError> {
        if self.known.get(self.recent).is_none_or(|shape| *shape.names != *names) {
            self.recent = self.by_names.get(names).copied().unwrap_or(usize::MAX);
        }
        // A name that contains a line feed counts as two names. The widths then differ, so no known
        // shape matches.
        if let Some(shape) = self.known.get(self.recent).filter(|shape| shape.width == values.len()) {
            return Ok(shape.apply(values));
        }
        let shape = Shape::of(names, values.len())?;
        let sorted = shape.apply(values);
        self.remember(shape);
        Ok(sorted)
    }

    fn remember(&mut self, shape: Shape) {
        let bytes = shape.bytes();
        if self.bytes + bytes > MAX_BYTES {
            self.known.clear();
            self.by_names.clear();
            self.bytes = 0;
        }
        self.bytes += bytes;
        self.by_names.insert(shape.names.clone(), self.known.len());
        self.known.push(shape);
    }
}

impl Shape {
    fn of(joined: &str, width: usize) -> Result<Self, PayloadError> {
        let names: Vec<&str> = if width == 0 { Vec::new() } else { joined.split('\n').collect() };
        if names.len() > width {
            let error = FieldSetError::ControlCharacter { character: '\n', name: excerpt(joined) };
            return Err(PayloadError::BadFieldName(error));
        }
        let mut order: Vec<u32> = (0..width as u32).collect();
        order.sort_by_key(|index| names[*index as usize]);
        let sorted = order.iter().map(|index| names[*index as usize].to_owned()).collect();
        let in_order = order.is_sorted();
        Ok(Self {
            names: joined.into(),
            fields: FieldSet::new(sorted)?,
            order: (!in_order).then(|| order.into_boxed_slice()),
            width,
        })
    }

    /// Estimates the memory of a shape: its names twice, and the overhead of the allocator per name
    /// and shape.
    fn bytes(&self) -> usize {
        288 + 64 * self.width + 2 * self.names.len()
    }

    fn apply(&self, values: &[f64]) -> (FieldSet, Vec<f64>) {
        let values = match &self.order {
            None => values.to_vec(),
            Some(order) => order.iter().map(|index| values[*index as usize]).collect(),
        };
        (self.fields.clone(), values)
    }
}
