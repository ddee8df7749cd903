//! A CSV table, and the numbers in it.

use std::io::Read;

use csv::{Position, ReaderBuilder, StringRecord};

/// Rows with the same number of cells, and a name for each column if the table has a header.
#[derive(Debug)]
pub(crate) struct Table {
    names: Option<StringRecord>,
    pub(crate) rows: Vec<StringRecord>,
}

impl Table {
    /// Reads a table of at least one row.
    pub(crate) fn read(input: impl Read, header: bool) -> Result<Self, String> {
        let mut reader = ReaderBuilder::new().has_headers(header).from_reader(input);
        let names = header.then(|| reader.headers().cloned()).transpose();
        let names = names.map_err(|error| error.to_string())?;
        let rows: Result<Vec<_>, _> = reader.records().collect();
        let rows = rows.map_err(|error| error.to_string())?;
        if rows.is_empty() {
            return Err("the table has no rows".to_owned());
        }
        Ok(Self { names, rows })
    }

    /// Returns the index of a column. `given` is the name of the column, or its number from 1.
    pub(crate) fn column(&self, given: &str) -> Result<usize, String> {
        let width = self.rows[0].len();
        let named = self.names.iter().flatten().position(|name| name == given);
        let numbered = || given.parse().ok().and_then(|number: usize| number.checked_sub(1));
        match named.or_else(numbered).filter(|&column| column < width) {
            Some(column) => Ok(column),
            None => Err(match &self.names {
                Some(names) => {
                    let names: Vec<&str> = names.iter().collect();
                    format!("there is no column `{given}`; the columns are {}", names.join(", "))
                }
                None => format!("there is no column `{given}`; the columns are numbered from 1 to {width}"),
            }),
        }
    }

    /// Returns the first column, other than `time`, whose first cell with a value is a number.
    pub(crate) fn first_of_numbers(&self, time: Option<usize>) -> Result<usize, String> {
        let width = self.rows[0].len();
        let begins_with_number = |&column: &usize| {
            let mut cells = self.rows.iter().map(|row| parse_number(&row[column]));
            cells.find(|cell| *cell != Ok(None)).is_some_and(|cell| cell.is_ok())
        };
        let mut columns = (0..width).filter(|&column| Some(column) != time);
        columns
            .find(begins_with_number)
            .ok_or_else(|| "no column holds numbers; pass one with --value".to_owned())
    }

    /// Returns the name of a column, or `column N` if it has no name.
    pub(crate) fn name(&self, column: usize) -> String {
        let name = self.names.as_ref().map(|names| names[column].trim()).filter(|name| !name.is_empty());
        name.map_or_else(|| format!("column {}", column + 1), str::to_owned)
    }

    /// Returns the numbers of a column, with `None` for each missing value.
    pub(crate) fn numbers(&self, column: usize) -> Result<Vec<Option<f64>>, String> {
        let value = |row: &StringRecord| {
            parse_number(&row[column]).map_err(|cell| {
                let line = row.position().map_or(0, Position::line);
                format!("line {line}, {}: `{cell}` is not a number", self.name(column))
            })
        };
        self.rows.iter().map(value).collect()
    }
}

/// Returns the number in a cell, or `None` if the value is missing. The error is the cell's text.
fn parse_number(cell: &str) -> Result<Option<f64>, &str> {
    let cell = cell.trim();
    if ["", "na", "nan", "null"].iter().any(|missing| cell.eq_ignore_ascii_case(missing)) {
        return Ok(None);
    }
    cell.parse().ok().filter(|value: &f64| value.is_finite()).map(Some).ok_or(cell)
}
