//! The commands, as a person uses them.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Project, Ran};

#[test]
fn the_starter_runs_and_can_be_looked_at() {
    let project = Project::new();
    project.ok(&["init"]);
    assert_eq!(project.pipe(&["init"]).code, 2, "an existing file is left alone");
    assert!(project.ok(&["check"]).stdout.contains("starter: 6 nodes, no mistakes"));
    let plan = project.ok(&["plan"]).stdout;
    assert!(plan.contains("never run") && plan.contains("streams into `features`"), "{plan}");
    project.ok(&["run"]);
    let plan = project.ok(&["plan"]).stdout;
    assert_eq!(plan.matches(" cached").count(), 6, "{plan}");
    let model = project.ok(&["show", "head"]).stdout;
    assert!(model.contains("features.0") && model.contains("parameters.total") && model.contains("sigmoid"), "{model}");
    let history = project.ok(&["show", "head.history", "--format", "csv"]).stdout;
    assert_eq!(history.lines().count(), 61, "a header and 60 epochs");
    let predictions = project.ok(&["show", "eval.predictions", "--format", "csv"]).stdout;
    assert_eq!(predictions.lines().count(), 401);
    let metrics: Value = serde_json::from_str(&project.ok(&["show", "eval", "--format", "json"]).stdout).unwrap();
    assert!(metrics["accuracy"].as_f64().unwrap() > 0.8, "{metrics}");
    for part in ["validation", "train"] {
        assert!(metrics[part]["roc_auc"].is_number(), "{metrics}");
    }
    let table = project.ok(&["show", "split"]).stdout;
    assert!(table.contains("objectId") && table.contains("validation"), "{table}");
    assert_eq!(project.pipe(&["show", "eval", "--format", "csv"]).code, 2, "metrics are no table");
    assert_eq!(project.pipe(&["show", "images"]).code, 1, "items that are not stored cannot be shown");
}

#[test]
fn every_kind_is_documented() {
    let project = Project::new();
    let list = project.ok(&["nodes"]).stdout;
    let kinds: Value = serde_json::from_str(&project.ok(&["nodes", "--format", "json"]).stdout).unwrap();
    for kind in kinds.as_array().unwrap() {
        let name = kind["name"].as_str().unwrap();
        assert!(list.contains(name));
        assert!(project.ok(&["nodes", name]).stdout.contains(name));
        for (param, schema) in kind["params"]["properties"].as_object().into_iter().flatten() {
            assert!(schema["description"].is_string(), "{name}: the param {param} has no documentation");
        }
    }
    assert!(project.pipe(&["nodes", "train.haed"]).stderr.contains("did you mean `train.head`?"));
}

#[test]
fn other_nodes_go_on_after_a_failure_when_asked_to() {
    let yaml = "
nodes:
  bad: { kind: dataset.csv, with: { labels: pipe.yaml } }
  lost: { kind: split.hash, from: bad }
  good: { kind: dataset.synthetic, with: { count: 4, size: 16 } }
  fine: { kind: split.hash, from: good }
";
    let project = Project::with(yaml);
    let stopped = project.finished(&[]);
    assert_eq!(stopped["nodes"]["bad"]["status"], "failed");
    assert_eq!(stopped["nodes"]["lost"]["status"], "blocked");
    assert_eq!(stopped["nodes"]["lost"]["reason"], "`bad` failed");
    let went_on = project.finished(&["--keep-going"]);
    assert_eq!(went_on["ok"], false);
    assert_eq!(went_on["nodes"]["lost"]["status"], "blocked");
    assert!(matches!(went_on["nodes"]["fine"]["status"].as_str(), Some("ran" | "reused")), "{went_on}");
}

#[test]
fn only_what_a_named_node_needs_runs() {
    let project = Project::new();
    project.ok(&["init", "other.yaml"]);
    let event = project.finished(&["other.yaml", "split"]);
    assert_eq!(event["nodes"].as_object().unwrap().len(), 2);
}

#[test]
fn a_file_may_stand_behind_nodes() {
    let project = Project::new();
    project.ok(&["init", "other.yaml"]);
    assert_eq!(project.finished(&["split", "other.yaml"])["nodes"].as_object().unwrap().len(), 2);
    let [before, behind] = [["show", "other.yaml", "split"], ["show", "split", "other.yaml"]];
    assert_eq!(project.ok(&behind).stdout, project.ok(&before).stdout);
    // The place to write to is none.
    project.ok(&["init"]);
    project.ok(&["run"]);
    assert_eq!(project.ok(&["restore", "eval", "eval.yaml"]).stdout, "wrote eval.yaml\n");
}

#[cfg(unix)]
#[test]
fn an_interrupt_keeps_finished_items() {
    let project = Project::with(
        "
nodes:
  photos: { kind: dataset.synthetic, with: { count: 300, size: 32 } }
  images: { kind: preprocess.image, from: photos, with: { size: 224 } }
  features: { kind: features.backbone, from: images, with: { model: efficientnet_b0, weights: random } }
",
    );
    let mut running = project.command(&["run", "--format", "json"]);
    let running = running.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Until items are under way, seen by the pack that is being written.
    let began = Instant::now();
    let writing = || {
        let packs = std::fs::read_dir(project.path(".pipe/v1/tmp")).into_iter().flatten().flatten();
        packs.filter_map(|entry| entry.metadata().ok()).any(|file| file.len() > 10 * 1280 * 4)
    };
    while !writing() && began.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let stopped = Ran::from(running.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    let event: Value = serde_json::from_str(stopped.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(event["nodes"]["features"]["status"], "interrupted");
    let resumed = project.finished(&[]);
    assert!(resumed["nodes"]["features"]["items_reused"].as_u64().unwrap() >= 10, "{resumed}");
    assert_eq!(resumed["ok"], true);
}

#[test]
fn the_language_takes_any_text_without_a_panic() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let kinds = pipe_stdlib::kinds().unwrap();
    let piece = prop_oneof![
        "[a-z${}:,\\[\\]&*!|>'\"# \n\t-]{0,6}",
        Just("nodes:\n  a: { kind: dataset.synthetic, with: { count: 9 } }\n".to_owned()),
        Just("  b: { kind: split.hash, from: a }\n".to_owned()),
        Just("params: { x: ${y}, y: ${x} }\n".to_owned()),
        Just("é: &a [*a, *a]\n".to_owned()),
    ];
    let text = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    let mut runner = TestRunner::new(Config { cases: 2000, failure_persistence: None, ..Config::default() });
    let here = std::path::Path::new(".");
    runner
        .run(&text, |text| {
            let _ = pipe_lang::check("pipe.yaml", &text, here, &pipe_lang::Given::default(), kinds.language());
            Ok(())
        })
        .unwrap();
}

#[cfg(unix)]
#[test]
fn a_reader_that_goes_away_breaks_nothing() {
    let project = Project::new();
    project.ok(&["init"]);
    for words in [vec!["run", "--format", "json"], vec!["show", "split", "--format", "csv"], vec!["nodes"]] {
        let mut running = project.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(running.stdout.take());
        let ran = Ran::from(running.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{words:?}\n{}", ran.stderr);
    }
    assert_eq!(project.finished(&[])["ran"], 0, "the run went on to its end");
}

#[test]
fn networks_are_listed_and_shown() {
    let project = Project::new();
    insta::assert_snapshot!(project.ok(&["models"]).stdout);
    let listed: Value = serde_json::from_str(&project.ok(&["models", "--format", "json"]).stdout).unwrap();
    let names: Vec<&str> = listed.as_array().unwrap().iter().map(|model| model["name"].as_str().unwrap()).collect();
    let kinds = pipe_stdlib::kinds().unwrap();
    let backbone = kinds.specs().iter().find(|spec| spec.name == "features.backbone").unwrap();
    let schema = serde_json::to_string(&backbone.schema).unwrap();
    for name in &names {
        assert!(schema.contains(&format!("\"{name}\"")), "features.backbone does not take {name}");
        for weights in pipe_network::known_weights(name) {
            assert!((0.8..=1.0).contains(&weights.crop), "{weights:?}");
        }
    }
    assert_eq!(names, pipe_network::NETWORKS);
    let shown = project.ok(&["models", "squeezenet1_1"]).stdout;
    insta::assert_snapshot!(shown);
    let unknown = project.pipe(&["models", "resnet51"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("did you mean `resnet50`?"), "{}", unknown.stderr);
}

/// What `pipe models` says of weights is a pipeline that runs.
#[test]
fn what_weights_expect_can_be_pasted() {
    let project = Project::new();
    let models: Value = serde_json::from_str(&project.ok(&["models", "--format", "json"]).stdout).unwrap();
    let mut text = "nodes:\n  photos: { kind: dataset.synthetic, with: { count: 20 } }\n".to_owned();
    let all = models.as_array().unwrap().iter().flat_map(|model| model["weights"].as_array().unwrap());
    for (number, weights) in all.enumerate() {
        let mut from = "photos".to_owned();
        for (place, node) in weights["nodes"].as_array().unwrap().iter().enumerate() {
            let (kind, with) = (node["kind"].as_str().unwrap(), node["with"].as_str().unwrap());
            // The file of weights is the reader's own.
            let with = if kind == "features.backbone" {
                with.replacen("{ ", "{ weights: random, ", 1)
            } else {
                with.to_owned()
            };
            text.push_str(&format!("  n{number}_{place}: {{ kind: {kind}, from: {from}, with: {with} }}\n"));
            from = format!("n{number}_{place}");
        }
    }
    project.write("pipe.yaml", text);
    project.ok(&["check"]);
}
