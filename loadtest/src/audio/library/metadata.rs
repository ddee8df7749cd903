//! `metadata/UrbanSound8K.csv`.

use std::path::Path;

use super::{LibraryError, read_text};
use crate::sound_class::SoundClass;

/// Where the table lies under the data set's root.
pub(super) const PATH: &str = "metadata/UrbanSound8K.csv";

/// What is used of a row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// `[fsID]-[classID]-[occurrenceID]-[sliceID].wav`
    pub file_name: String,
    /// Salience 1.
    pub foreground: bool,
    /// 1 to 10.
    pub fold: u8,
    /// What is heard.
    pub class: SoundClass,
}

/// Reads the table; columns are found by their names, in whatever order they stand.
pub(super) fn read(path: &Path) -> Result<Vec<Row>, LibraryError> {
    parse(&read_text(path)?).map_err(|(line, detail)| LibraryError::BadTable {
        path: path.to_owned(),
        line,
        detail,
    })
}

fn parse(text: &str) -> Result<Vec<Row>, (usize, String)> {
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line));
    let (_, header) = lines.next().ok_or((1, "the table is empty".to_owned()))?;
    let names: Vec<&str> = header.trim_start_matches('\u{feff}').split(',').map(clean).collect();
    let column = |name: &str| {
        names.iter().position(|&found| found == name).ok_or((1, format!("the column {name} is missing")))
    };
    let (file, salience, fold, class) =
        (column("slice_file_name")?, column("salience")?, column("fold")?, column("classID")?);

    let mut rows = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty()) {
        let cells: Vec<&str> = text.split(',').map(clean).collect();
        let cell =
            |column: usize| cells.get(column).copied().ok_or((line, "the row is too short".to_owned()));
        let number = |column: usize| -> Result<u8, (usize, String)> {
            let text = cell(column)?;
            text.parse().map_err(|_| (line, format!("{} is {text:?}, not a small number", names[column])))
        };
        let file_name = cell(file)?.to_owned();
        if file_name.is_empty() || file_name.contains(['/', '\\']) {
            return Err((line, format!("{file_name:?} is not a file name")));
        }
        let id = number(class)?;
        rows.push(Row {
            file_name,
            foreground: number(salience)? == 1,
            fold: number(fold)?,
            class: SoundClass::from_id(id).ok_or((line, format!("classID {id} is not one of the ten")))?,
        });
    }
    Ok(rows)
}

fn clean(cell: &str) -> &str {
    cell.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENUINE: &str = "slice_file_name,fsID,start,end,salience,fold,classID,class\n\
        100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark\n\
        100263-2-0-117.wav,100263,58.5,62.5,2,5,2,children_playing\n";

    #[test]
    fn the_genuine_table_is_read() {
        let rows = parse(GENUINE).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(
            rows[0],
            Row {
                file_name: "100032-3-0-0.wav".into(),
                foreground: true,
                fold: 5,
                class: SoundClass::DogBark
            }
        );
        assert!(!rows[1].foreground);
    }

    #[test]
    fn line_ends_quotes_and_column_order_do_not_matter() {
        let text = "\u{feff}classID,fold,salience,slice_file_name\r\n\"3\",5,1,\"100032-3-0-0.wav\"\r\n\r\n";
        assert_eq!(parse(text).unwrap(), parse(GENUINE).unwrap()[..1]);
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        let refusal = |from: &str, to: &str| parse(&GENUINE.replace(from, to)).unwrap_err();
        assert_eq!(refusal("salience", "volume"), (1, "the column salience is missing".to_owned()));
        assert_eq!(refusal(",2,5,2,", ",2,5,12,").0, 3);
        assert_eq!(refusal(",2,5,2,", ",loud,5,2,").1, "salience is \"loud\", not a small number");
        assert_eq!(refusal("100263-2", "../etc/2").0, 3);
        assert_eq!(refusal(",5,2,children_playing", ""), (3, "the row is too short".to_owned()));
        assert_eq!(parse("").unwrap_err().0, 1);
    }
}
