//! A table in CSV (RFC 4180), and numbers in it.

/// Rows of equally many cells, and perhaps a name for each column.
#[derive(Debug)]
pub(crate) struct Table {
    names: Option<Vec<String>>,
    pub(crate) rows: Vec<Row>,
}

/// A row, and the line of the file where it begins.
#[derive(Debug, Default)]
pub(crate) struct Row {
    line: usize,
    pub(crate) cells: Vec<String>,
}

impl Table {
    /// Reads a table of at least one row.
    pub(crate) fn parse(text: &str, header: bool) -> Result<Self, String> {
        let mut rows = rows(text.strip_prefix('\u{feff}').unwrap_or(text))?;
        let (first_line, width) = rows.first().map_or((1, 0), |row| (row.line, row.cells.len()));
        if let Some(row) = rows.iter().find(|row| row.cells.len() != width) {
            let (line, cells) = (row.line, row.cells.len());
            return Err(format!(
                "line {line}: the number of cells is {cells}, but in line {first_line} it is {width}"
            ));
        }
        let names = (header && !rows.is_empty()).then(|| rows.remove(0).cells);
        if rows.is_empty() {
            return Err("the table has no rows".to_owned());
        }
        Ok(Self { names, rows })
    }

    /// The index of a column, given by its name or its number from 1.
    pub(crate) fn column(&self, given: &str) -> Result<usize, String> {
        let width = self.rows[0].cells.len();
        let named = self.names.iter().flatten().position(|name| name == given);
        let numbered = || given.parse().ok().and_then(|number: usize| number.checked_sub(1));
        match named.or_else(numbered).filter(|&column| column < width) {
            Some(column) => Ok(column),
            None => Err(match &self.names {
                Some(names) => format!("there is no column `{given}`; there are {}", names.join(", ")),
                None => format!("there is no column `{given}`; they are numbered from 1 to {width}"),
            }),
        }
    }

    /// The first column, apart from that of the time, that begins with a number, as far as it has cells that are not missing.
    pub(crate) fn first_of_numbers(&self, time: Option<usize>) -> Result<usize, String> {
        let width = self.rows[0].cells.len();
        let begins_with_number = |&column: &usize| {
            let mut cells = self.rows.iter().map(|row| number(&row.cells[column]));
            cells.find(|cell| *cell != Ok(None)).is_some_and(|cell| cell.is_ok())
        };
        let mut columns = (0..width).filter(|&column| Some(column) != time);
        columns
            .find(begins_with_number)
            .ok_or_else(|| "no column holds numbers; name one by --value".to_owned())
    }

    /// What a column is called: by its name, or by its number where it has none.
    pub(crate) fn name(&self, column: usize) -> String {
        let name = self.names.as_ref().map(|names| names[column].trim()).filter(|name| !name.is_empty());
        name.map_or_else(|| format!("column {}", column + 1), str::to_owned)
    }

    /// The numbers of a column; nothing where one is missing.
    pub(crate) fn numbers(&self, column: usize) -> Result<Vec<Option<f64>>, String> {
        let number = |row: &Row| {
            let cell = number(&row.cells[column]);
            cell.map_err(|cell| format!("line {}, {}: `{cell}` is no number", row.line, self.name(column)))
        };
        self.rows.iter().map(number).collect()
    }
}

/// The number in a cell, or nothing if it is missing. The error is the cell.
fn number(cell: &str) -> Result<Option<f64>, &str> {
    let cell = cell.trim();
    if ["", "na", "nan", "null"].iter().any(|missing| cell.eq_ignore_ascii_case(missing)) {
        return Ok(None);
    }
    cell.parse().ok().filter(|value: &f64| value.is_finite()).map(Some).ok_or(cell)
}

/// A cell as it has to be written.
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The rows of a text; empty lines are none.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    let mut row = Row { line: 1, cells: Vec::new() };
    let (mut cell, mut line) = (String::new(), 1);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if cell.is_empty() => {
                let opened = line;
                loop {
                    match characters.next() {
                        Some('"') if characters.next_if_eq(&'"').is_some() => cell.push('"'),
                        Some('"') => break,
                        Some(inside) => {
                            line += usize::from(inside == '\n');
                            cell.push(inside);
                        }
                        None => return Err(format!("line {opened}: a quote is never closed")),
                    }
                }
                if characters.peek().is_some_and(|next| !matches!(next, ',' | '\r' | '\n')) {
                    return Err(format!("line {line}: a comma is missing behind a closing quote"));
                }
            }
            ',' => row.cells.push(std::mem::take(&mut cell)),
            '\r' if characters.peek().is_none_or(|&next| next == '\n') => {}
            '\n' => {
                finish(&mut rows, &mut row, &mut cell);
                line += 1;
                row.line = line;
            }
            other => cell.push(other),
        }
    }
    finish(&mut rows, &mut row, &mut cell);
    Ok(rows)
}

fn finish(rows: &mut Vec<Row>, row: &mut Row, cell: &mut String) {
    if !(row.cells.is_empty() && cell.is_empty()) {
        row.cells.push(std::mem::take(cell));
        rows.push(std::mem::take(row));
    }
}
