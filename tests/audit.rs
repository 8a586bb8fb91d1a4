//! Suspect labels, against cleanlab and against labels that were swapped.

use pipe_stdlib::audit::suspects;
use serde_json::Value;

use crate::common::{Project, floats, json_fixture};

#[test]
fn suspects_are_cleanlabs() {
    for (name, case) in json_fixture("labels.json")["cases"].as_object().unwrap() {
        let labels: Vec<usize> = serde_json::from_value(case["labels"].clone()).unwrap();
        let rows: Vec<Vec<f64>> = case["probabilities"].as_array().unwrap().iter().map(floats).collect();
        let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
        let found: Vec<usize> = suspects(&labels, &rows, rows[0].len()).iter().map(|suspect| suspect.row).collect();
        let expected: Vec<usize> = serde_json::from_value(case["suspects"].clone()).unwrap();
        assert!(!expected.is_empty());
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn photos_in_the_wrong_folder_are_found() {
    let project = Project::new();
    project.write(
        "draw.yaml",
        "nodes: {
           photos: { kind: dataset.synthetic, with: { count: 240, size: 64 }, export: photos.csv },
           images: { kind: preprocess.image, from: photos, with: { size: 64 }, export: drawn } }",
    );
    project.ok(&["run", "draw.yaml"]);
    let mut swapped = Vec::new();
    for (number, line) in project.read("photos.csv").lines().skip(1).enumerate() {
        let (id, class) = line.split_once(',').unwrap();
        let stem = id.split('.').next().unwrap();
        let wrong = number % 11 == 0;
        let folder = if wrong { ["1", "0"][class.parse::<usize>().unwrap()] } else { class };
        project.write(
            &format!("photos/{folder}/{stem}.png"),
            std::fs::read(project.path(&format!("drawn/{stem}.png"))).unwrap(),
        );
        swapped.extend(wrong.then(|| format!("{folder}/{stem}.png")));
    }
    project.write(
        "pipe.yaml",
        "nodes: { doubts: { uses: stdlib/audit, with: { photos: photos, model: squeezenet1_1, size: 64, epochs: 400 } } }",
    );
    project.ok(&["run"]);
    let report: Value = serde_json::from_str(&project.ok(&["show", "doubts", "--format", "json"]).stdout).unwrap();
    let found: Vec<&str> =
        report["suspects"].as_array().unwrap().iter().map(|row| row["objectId"].as_str().unwrap()).collect();
    let records = project.ok(&["show", "doubts/classifier/split", "--format", "csv"]).stdout;
    let looked_at =
        |id: &&String| records.lines().any(|line| line.starts_with(id.as_str()) && !line.ends_with("train"));
    let to_find: Vec<&String> = swapped.iter().filter(looked_at).collect();
    let hits = to_find.iter().filter(|id| found.contains(&id.as_str())).count();
    assert!(to_find.len() >= 5, "{records}");
    assert!(hits * 10 >= to_find.len() * 8, "of {to_find:?} only {hits} are in {found:?}");
    assert!(found.len() <= to_find.len() * 2, "{found:?} for {to_find:?}");
    let table = project.ok(&["show", "doubts"]).stdout;
    assert!(table.lines().next().unwrap().contains("suggested"), "{table}");
}
