//! Tables of aligned text.

/// A table. The first columns hold words and are aligned left; the others are aligned right.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    words: usize,
}

impl Table {
    /// Creates an empty table whose first `words` columns hold words.
    pub fn new(words: usize, header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|title| (*title).to_owned()).collect()], words }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.rows[0].len(), "as many cells as titles");
        self.rows.push(cells.into());
    }

    /// Prints an empty line, a title and the table.
    pub fn print(&self, title: &str) {
        println!("\n{title}\n\n{}", self.text());
    }

    fn text(&self) -> String {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column < self.words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Formats microseconds with about three digits.
pub fn micros(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// Formats a ratio as "12.3 x".
pub fn times(ratio: f64) -> String {
    format!("{ratio:.1} x")
}

/// Formats a count with commas.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = Table::new(1, &["who", "µs"]);
        table.row(["krcflib".to_owned(), "7".to_owned()]);
        table.row(["rrcf".to_owned(), "123".to_owned()]);
        assert_eq!(table.text(), "  who       µs\n  krcflib    7\n  rrcf     123");
    }

    #[test]
    fn numbers_keep_about_three_digits() {
        assert_eq!([1.234, 12.34, 1_234.5].map(micros), ["1.23", "12.3", "1234"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }
}
