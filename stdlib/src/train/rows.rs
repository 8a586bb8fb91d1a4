//! The rows that are learned from.

use pipe_core::{Failure, Records};

/// Nothing can be learned of a class that has no rows.
pub(super) fn refuse_gaps(records: &Records, labels: &[usize]) -> Result<(), Failure> {
    if records.rows.iter().all(|row| row.split.is_none()) {
        return Err(
            Failure::new("pipe::data", "the rows are not split").help("put a node such as `split.hash` before it")
        );
    }
    if records.classes.len() < 2 {
        let message = format!("all rows have the label `{}`", records.classes.join(""));
        return Err(Failure::new("pipe::data", message).help("a classifier needs at least two classes"));
    }
    for (index, class) in records.classes.iter().enumerate() {
        if !labels.contains(&index) {
            return Err(Failure::new("pipe::data", format!("the class `{class}` has no rows in train"))
                .help("add photos of it, or give test and validation fewer rows"));
        }
    }
    Ok(())
}
