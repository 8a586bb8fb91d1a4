//! Tables in a terminal.

use serde_json::Value;

use crate::number::count;

/// Rows in aligned columns, numbers to the right, a header above.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let is_number = |cell: &String| cell.chars().all(|c| c.is_ascii_digit() || "+-.,%".contains(c));
    let right: Vec<bool> = (0..columns)
        .map(|column| !rows.is_empty() && rows.iter().filter_map(|row| row.get(column)).all(is_number))
        .collect();
    let mut text = String::new();
    let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
    for row in [&header].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate().take(columns) {
            let width = widths[column];
            let padded = if right[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
            line.push_str(&padded);
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The layers of a network or a model, as their JSON has them.
pub(crate) fn layers(layers: &[Value]) -> String {
    let number = |value: &Value| count(value.as_u64().unwrap_or_default() as usize);
    let output = |sizes: &Value| match sizes.as_array().map(Vec::as_slice) {
        // Channels of one place alone.
        Some([channels, height, width]) if *height == 1 && *width == 1 => channels.to_string(),
        Some(sizes) => sizes.iter().map(Value::to_string).collect::<Vec<_>>().join(" x "),
        None => String::new(),
    };
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|layer| {
            vec![
                word(&layer["layer"]),
                word(&layer["kind"]),
                output(&layer["output"]),
                number(&layer["parameters"]),
                number(&layer["multiply_adds"]),
            ]
        })
        .collect();
    table(&["layer", "kind", "output", "parameters", "multiply-adds"], &rows)
}
