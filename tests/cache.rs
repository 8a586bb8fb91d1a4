//! What runs again, and what does not.

use serde_json::{Value, json};

use crate::common::photos::{PIPELINE, computed, nodes, photos, project};
use crate::common::{Project, real_data};

#[test]
fn a_second_run_reuses_everything() {
    let project = project(40);
    let first = project.finished(&[]);
    assert_eq!((first["ok"].clone(), first["ran"].clone()), (json!(true), json!(6)));
    let second = project.finished(&[]);
    assert_eq!((second["ran"].clone(), second["reused"].clone()), (json!(0), json!(6)));
    assert!(project.ok(&["run"]).stderr.contains("everything was reused: 6 nodes"));
}

#[test]
fn a_param_reruns_only_what_depends_on_it() {
    let project = project(40);
    project.ok(&["run"]);
    let why = project.ok(&["why", "head", "--set", "epochs=5"]).stdout;
    assert!(why.contains("head would run") && why.contains("params.epochs: 3 -> 5"), "{why}");
    let changed = project.finished(&["--set", "epochs=5"]);
    assert_eq!(nodes(&changed, "ran"), ["eval", "head"]);
    let why = project.ok(&["why", "head"]).stdout;
    assert!(why.contains("head is cached") && why.contains("params.epochs: 3 -> 5"), "{why}");
    let back = project.finished(&[]);
    assert_eq!(back["ran"], 0, "changed back, nothing runs");
}

#[test]
fn one_photo_more_costs_one_photo() {
    let project = project(40);
    project.ok(&["run"]);
    let new = project.object("objects", photos(41).last().unwrap());
    project.write("label.csv", format!("{}{new},0\n", project.read("label.csv")));
    let event = project.finished(&[]);
    assert_eq!(computed(&event, "images"), (1, 40));
    assert_eq!(computed(&event, "features"), (1, 40));
}

#[test]
fn a_renamed_a_doubled_and_a_relabelled_photo_cost_nothing() {
    let project = project(40);
    project.ok(&["run"]);
    let csv = project.read("label.csv");
    let line = csv.lines().nth(3).unwrap();
    let (id, value) = line.split_once(',').unwrap();
    let other = if value == "0" { "1" } else { "0" };
    // Twice in the table, and once more with another label.
    project.write("label.csv", format!("{}{id},{other}\n", csv.replace(line, &format!("{id},{other}"))));
    let event = project.finished(&[]);
    assert_eq!(computed(&event, "features"), (0, 41));
    // The same bytes under another name.
    let bytes = std::fs::read(project.path(&format!("objects/{}/{}/{id}", &id[..2], &id[2..4]))).unwrap();
    let renamed = format!("{}00.jpg", &id[..38]);
    project.write(&format!("objects/{}/{}/{renamed}", &id[..2], &id[2..4]), bytes);
    project.write("label.csv", csv.replace(id, &renamed));
    let event = project.finished(&[]);
    assert_eq!(computed(&event, "features"), (0, 40));
}

#[test]
fn a_touched_file_and_a_moved_project_cost_nothing() {
    let project = project(20);
    project.ok(&["run"]);
    let csv = project.read("label.csv");
    project.write("label.csv", csv);
    assert_eq!(project.finished(&[])["ran"], 0);
    let moved = Project::new();
    for name in ["pipe.yaml", "label.csv", "objects", ".pipe"] {
        std::fs::rename(project.path(name), moved.path(name)).unwrap();
    }
    assert_eq!(moved.finished(&[])["ran"], 0);
}

#[test]
fn an_equal_result_stops_the_wave() {
    let project = project(40);
    project.ok(&["run"]);
    // Keys that no photo has move from one range to another: the split runs, the table is equal.
    let yaml =
        PIPELINE.replace("by: name", "").replace("validation: 61..=120 }", "validation: 61..=120, balance: none }");
    project.write("pipe.yaml", yaml.replace("0..=60", "00..=60"));
    assert_eq!(project.finished(&[])["ran"], 0, "another way to write the same range");
    let unused = (0..=254u8).rev().find(|key| {
        let names: Vec<String> =
            project.read("label.csv").lines().skip(1).map(|line| line[38..40].to_owned()).collect();
        *key > 121 && !names.contains(&format!("{key:02x}")) && !names.contains(&format!("{:02x}", 121))
    });
    let Some(_) = unused else { return };
    project.write("pipe.yaml", PIPELINE.replace("61..=120", "61..=121"));
    let event = project.finished(&[]);
    assert_eq!(nodes(&event, "unchanged"), ["split"]);
    assert_eq!(nodes(&event, "reused").len(), 5);
}

#[test]
fn two_empty_stores_get_the_same_digests() {
    let digests = |event: &Value| -> Vec<Value> {
        event["nodes"].as_object().unwrap().values().map(|node| node["digest"].clone()).collect()
    };
    let (one, two) = (project(40), project(40));
    let (one, two) = (one.finished(&["-j", "1"]), two.finished(&["-j", "4"]));
    assert_eq!(digests(&one), digests(&two));
    assert!(digests(&one).iter().filter(|digest| digest.is_string()).count() >= 5);
}

#[test]
fn a_lost_or_damaged_store_is_computed_again() {
    let project = project(20);
    let first = project.finished(&[]);
    for entry in std::fs::read_dir(project.path(".pipe/v1/packs")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let plan = project.ok(&["plan"]).stdout;
    assert!(plan.contains("0 cached, 20 to compute"), "the plan sees it too: {plan}");
    let second = project.finished(&[]);
    assert_eq!(computed(&second, "features"), (20, 0));
    assert_eq!(first["nodes"]["features"]["digest"], second["nodes"]["features"]["digest"]);
    for blob in project.files(".pipe/v1/blobs").keys() {
        project.damage(blob, |bytes| *bytes = b"damaged".to_vec());
    }
    let third = project.finished(&[]);
    assert_eq!(third["ok"], true);
    assert_eq!(first["nodes"]["eval"]["digest"], third["nodes"]["eval"]["digest"]);
}

#[test]
fn kept_images_are_stored_and_used_by_others() {
    let project = project(20);
    project.write("pipe.yaml", PIPELINE.replace("size: \"${size}\" } }", "size: \"${size}\" }, keep: true }"));
    let event = project.finished(&[]);
    assert!(event["nodes"]["images"]["digest"].is_string());
    project.write(
        "pipe.yaml",
        PIPELINE
            .replace("size: \"${size}\" } }", "size: \"${size}\" }, keep: true }")
            .replace("weights: random", "weights: random, seed: 2"),
    );
    let event = project.finished(&[]);
    assert_eq!(computed(&event, "images"), (0, 20), "another backbone reads the stored pixels");
    assert_eq!(computed(&event, "features"), (20, 0));
}

#[test]
fn nothing_is_written_into_the_data() {
    let project = Project::new();
    let data = crate::common::photos::project(20);
    project.write(
        "pipe.yaml",
        PIPELINE
            .replace("label.csv", "\"${data}/label.csv\"")
            .replace("[objects]", "[\"${data}/objects\"]")
            .replace("params: {", "params: { data: x,"),
    );
    let before = listing(&data.path(""));
    let set = format!("data={}", data.path("").display());
    project.ok(&["run", "--set", &set]);
    assert_eq!(before, listing(&data.path("")));
}

fn listing(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Option<std::time::SystemTime>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        all.push((entry.path(), entry.metadata().unwrap().modified().ok()));
        if entry.path().is_dir() {
            all.extend(listing(&entry.path()));
        }
    }
    all.sort();
    all
}

#[test]
fn real_photos_reach_95_percent_and_one_more_costs_one() {
    let Some(data) = real_data() else { return };
    let project = Project::new();
    let yaml = include_str!("../pipelines/containers.yaml");
    project.write("pipe.yaml", yaml);
    // A copy of the table, and a tree of one's own over the real one, for the photo that is added.
    let csv = std::fs::read_to_string(data.join("dev-containers/label.csv")).unwrap();
    let extra =
        yaml.replace("\"${data}/dev-containers/label.csv\"", "label.csv").replace("objects\"]", "objects\", more]");
    project.write("pipe.yaml", extra);
    let (last, rest) = csv.trim_end().rsplit_once('\n').map(|(rest, last)| (last, rest)).unwrap();
    project.write("label.csv", format!("{rest}\n"));
    std::fs::create_dir(project.path("more")).unwrap();
    let set = format!("data={}", data.display());
    let first = project.finished(&["--set", &set]);
    assert_eq!(first["ok"], true);
    assert_eq!(computed(&first, "features").0, 2386);
    project.write("label.csv", format!("{rest}\n{last}\n"));
    let second = project.finished(&["--set", &set]);
    assert_eq!(computed(&second, "images"), (1, 2386));
    assert_eq!(computed(&second, "features"), (1, 2386));
    let metrics: Value = serde_json::from_str(&project.ok(&["show", "eval", "--format", "json"]).stdout).unwrap();
    let accuracy = metrics["accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.95, "test accuracy {accuracy}");
    assert_eq!(metrics["rows"], 204);
}

#[test]
fn a_truncated_pack_is_computed_again() {
    let project = project(20);
    let first = project.finished(&[]);
    for entry in std::fs::read_dir(project.path(".pipe/v1/packs")).unwrap() {
        let pack = std::fs::OpenOptions::new().write(true).open(entry.unwrap().path()).unwrap();
        pack.set_len(1000).unwrap();
    }
    let second = project.finished(&["--set", "epochs=4"]);
    assert_eq!(second["ok"], true);
    assert_eq!(first["nodes"]["features"]["digest"], second["nodes"]["features"]["digest"]);
}

#[test]
fn a_damaged_pack_is_computed_again_in_the_same_run() {
    let project = project(20);
    let first = project.finished(&[]);
    for entry in std::fs::read_dir(project.path(".pipe/v1/packs")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[100] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let mended = project.finished(&["--set", "epochs=4"]);
    assert_eq!(mended["ok"], true);
    assert_eq!(computed(&mended, "features"), (1, 19), "what lies beside the damage is kept");
    project.ok(&["store", "verify"]);
    assert_eq!(first["nodes"]["features"]["digest"], mended["nodes"]["features"]["digest"]);
}

#[test]
fn a_record_is_read_as_it_was_written() {
    // Floats in records and params: read back a digit off, a result would be lost.
    let project = Project::new();
    for lr in ["0.1", "0.3", "0.007", "1.1e-5", "0.30000000000000004", "2.3e-3"] {
        let yaml = PIPELINE
            .replace("batch_size: 8", &format!("batch_size: 8, optimizer: {{ adam: {{ lr: {lr}, eps: 3.3e-9 }} }}"));
        let yaml = yaml.replace(
            "dataset.csv, with: { labels: label.csv, objects: [objects] }",
            "dataset.synthetic, with: { count: 40, size: 32 }",
        );
        project.write("pipe.yaml", yaml);
        project.ok(&["run"]);
        assert_eq!(project.finished(&[])["ran"], 0, "{lr}");
    }
}
