//! `split.hash` against the same rule in pandas.

use crate::common::{Project, json_fixture, sha1};

/// The table of `tests/reference/split.py`.
fn label_csv() -> String {
    let mut csv = "objectId,value\n".to_owned();
    for i in 0..22_640 {
        let value = if (i + 1) * 7_617 / 22_640 > i * 7_617 / 22_640 { 0 } else { 1 };
        csv.push_str(&format!("{}.jpg,{value}\n", sha1(format!("photo {i}").as_bytes())));
    }
    csv
}

fn check(case: &str, with: &str) {
    let expected = json_fixture("split.json");
    let project = Project::with(&format!(
        "nodes:\n  labels: {{ kind: dataset.csv, with: {{ labels: label.csv }} }}\n  \
         split: {{ kind: split.hash, from: labels, with: {with} }}\n"
    ));
    let csv = label_csv();
    assert_eq!(sha1(csv.as_bytes()), expected["input_sha1"].as_str().unwrap(), "not the table that pandas split");
    project.write("label.csv", csv);
    project.ok(&["run"]);
    let shown = project.ok(&["show", "split", "--format", "csv"]).stdout;
    let first: Vec<&str> = shown.lines().take(40).collect();
    let wanted: Vec<String> = serde_json::from_value(expected["cases"][case]["first_lines"].clone()).unwrap();
    assert_eq!(first, wanted);
    assert_eq!(sha1(shown.as_bytes()), expected["cases"][case]["output_sha1"].as_str().unwrap());
}

#[test]
fn the_articles_rule_byte_for_byte() {
    check("balanced", "{ test: 0..=24, validation: 25..=49, balance: truncate }");
}

#[test]
fn other_ranges_without_balance() {
    check("unbalanced", "{ test: 0..=9, validation: 10..=99 }");
}
