//! Tables in Markdown.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Failure;

/// A section that a benchmark writes: everything between its two marks.
#[derive(Debug, Default)]
pub(crate) struct Report {
    text: String,
}

impl Report {
    /// Adds a paragraph, and shows it.
    pub(crate) fn say(&mut self, text: &str) {
        println!("{text}\n");
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// Adds a table, and shows it.
    pub(crate) fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[String]| format!("| {} |", cells.join(" | "));
        let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
        let rule = format!("|---|{}", "---:|".repeat(header.len() - 1));
        let lines = [line(&header), rule].into_iter().chain(rows.iter().map(|row| line(row)));
        self.say(&lines.collect::<Vec<_>>().join("\n"));
    }

    /// Puts the report between the marks of that name in a file.
    pub(crate) fn write(&self, file: &Path, name: &str) -> Result<(), Failure> {
        let text = fs::read_to_string(file)?;
        let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let start = text.find(&open).ok_or("the file has no mark for this benchmark")? + open.len();
        let end = text.find(&close).ok_or("the file has no end mark for this benchmark")?;
        fs::write(file, format!("{}\n{}{}", &text[..start], self.text, &text[end..]))?;
        Ok(())
    }
}

/// `0.043 s`, `12.4 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        ..1.0 => format!("{seconds:.3} s"),
        ..10.0 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.1} s"),
    }
}

/// How many times as long as `base`: `17x`, `2.4x`.
pub(crate) fn ratio(time: Duration, base: Duration) -> String {
    let ratio = time.as_secs_f64() / base.as_secs_f64().max(1e-9);
    if ratio < 10.0 { format!("{ratio:.1}x") } else { format!("{ratio:.0}x") }
}
