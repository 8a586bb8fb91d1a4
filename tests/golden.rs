//! What every kind gave when its version was set. A result that changes while the version does not
//! would be taken from old stores for ever: this fails first.
//!
//! After raising a kind's `VERSION`: `UPDATE_GOLDEN=1 cargo test --test tests golden`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::common::{Project, floats};

const PIPELINE: &str = "
nodes:
  table: { kind: dataset.csv, with: { labels: label.csv, objects: [objects] } }
  named: { kind: dataset.csv, with: { labels: label.csv, objects: [objects], identity: name } }
  folder: { kind: dataset.folder, with: { path: classes } }
  photos: { kind: dataset.synthetic, with: { count: 24, size: 40, classes: 3, seed: 5 } }
  by_name: { kind: split.hash, from: photos, with: { test: 0..=80, validation: 81..=160, balance: truncate } }
  by_content: { kind: split.hash, from: photos, with: { by: content, test: 0..=80, validation: 81..=160 } }
  nearest: { kind: preprocess.image, from: by_content, with: { size: 32, filter: nearest }, keep: true }
  bilinear: { kind: preprocess.image, from: by_content, with: { size: 32, fit: cover, crop_pct: 0.875 }, keep: true }
  bicubic: { kind: preprocess.image, from: by_content, with: { size: 24, filter: bicubic, orientation: ignore }, keep: true }
  lanczos: { kind: preprocess.image, from: by_content, with: { size: 48, filter: lanczos3 }, keep: true }
  squeezenet: { kind: features.backbone, from: nearest, with: { model: squeezenet1_1, weights: random, normalize: imagenet } }
  mobilenet: { kind: features.backbone, from: bilinear, with: { model: mobilenet_v2, weights: random, seed: 3 } }
  efficientnet: { kind: features.backbone, from: bilinear, with: { model: efficientnet_b0, weights: random } }
  head: { kind: train.head, from: squeezenet, with: { epochs: 3, batch_size: 8, optimizer: { adam: { lr: 0.01 } }, seed: 2 } }
  tuned: { kind: train.finetune, from: nearest, with: { model: squeezenet1_1, weights: random, normalize: imagenet, epochs: 2, batch_size: 8, augment: { flip: horizontal, crop: 0.5, brightness: 0.2 }, dropout: 0.1, seed: 1 } }
  eval: { kind: eval.classifier, from: { model: head, data: squeezenet } }
  shell: { kind: shell, from: by_name, with: { command: 'cp \"$by_name\" \"$out/table.csv\"; echo done' } }
  compare: { kind: compare.metrics, from: { metrics: { one: head.history, other: eval } }, with: { metric: loss } }
  suspects: { kind: audit.labels, from: eval.predictions, with: { splits: [train, test] } }
  values:
    kind: process.map
    from: by_name
    with:
      command: |
        sed -un 's/^.\"id\":\\([0-9]*\\),.*/{\"id\":\\1,\"value\":[7,null]}/p'
  vectors:
    kind: process.features
    from: by_name
    with:
      command: |
        sed -un 's/^.\"id\":\\([0-9]*\\),.*/{\"id\":\\1,\"features\":[1.5,-2]}/p'
  pictures:
    kind: process.images
    from: by_name
    keep: true
    with:
      command: |
        sed -un 's/^.\"id\":\\([0-9]*\\),.*\"path\":\"\\(.*\\)\".$/{\"id\":\\1,\"image\":\"\\2\"}/p'
";
/// How far numbers may stray from one processor to another, relative to the largest.
const NEAR: f64 = 1e-4;

fn project() -> Project {
    let project = Project::with(PIPELINE);
    let mut csv = "objectId,value\n".to_owned();
    for number in 0..6 {
        let name = project.object("objects", format!("photo {number}").as_bytes());
        csv.push_str(&format!("{name},{}\n", number % 2));
        project.write(&format!("classes/{}/{number}.png", ["cat", "dog"][number % 2]), format!("photo {number}"));
    }
    project.write("label.csv", csv);
    project
}

fn is_model(node: &str) -> bool {
    matches!(node, "head" | "tuned")
}

/// What each node gave: digests where every processor gives the same bits, numbers elsewhere.
fn results(project: &Project) -> BTreeMap<String, Value> {
    let event = project.finished(&["-j", "2"]);
    assert_eq!(event["ok"], true);
    let numbers = |node: &str| -> Value {
        let place = format!("restored/{node}");
        project.ok(&["restore", node, &place]);
        let file = if is_model(node) { format!("{place}/head.safetensors") } else { place };
        let bytes = std::fs::read(project.path(&file)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let tensor = tensors.tensor(if is_model(node) { "weight" } else { "features" }).unwrap();
        let all = tensor.data().chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        json!(all.step_by(97).take(60).collect::<Vec<_>>())
    };
    let ids = |node: &str| -> Value {
        let report: Value = serde_json::from_str(&project.ok(&["show", node, "--format", "json"]).stdout).unwrap();
        json!(
            report["suspects"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["objectId"].as_str().unwrap())
                .collect::<String>()
        )
    };
    let nodes = event["nodes"].as_object().unwrap();
    nodes
        .iter()
        .map(|(node, report)| {
            let result = match node.as_str() {
                "squeezenet" | "mobilenet" | "efficientnet" | "head" | "tuned" => numbers(node),
                "eval" | "compare" => json!(report["metrics"].as_object().unwrap().values().collect::<Vec<_>>()),
                "suspects" => ids(node),
                _ => report["digest"].clone(),
            };
            (node.clone(), result)
        })
        .collect()
}

fn is_near(one: &Value, other: &Value) -> bool {
    if one.is_string() || other.is_string() {
        return one == other;
    }
    let (one, other) = (floats(one), floats(other));
    let largest = other.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| (one - other).abs() <= NEAR * largest)
}

#[test]
fn no_result_changes_without_its_version() {
    let project = project();
    let kinds = pipe_stdlib::kinds().unwrap();
    let given = pipe_lang::Given::default();
    let pipeline = pipe_lang::check("pipe.yaml", PIPELINE, &project.path(""), &given, kinds.language());
    let pipeline = pipeline.unwrap();
    let results = results(&project);
    let mut now: BTreeMap<String, Value> = BTreeMap::new();
    for spec in kinds.specs() {
        let of_kind = pipeline.graph.node_weights().filter(|node| node.kind.name == spec.name);
        let results: BTreeMap<&str, &Value> = of_kind.map(|node| (node.name.as_str(), &results[&node.name])).collect();
        assert!(!results.is_empty(), "{} has no golden output: give it a node here", spec.name);
        now.insert(spec.name.to_owned(), json!({ "version": spec.version, "results": results }));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, format!("{:#}\n", json!(now))).unwrap();
    }
    let golden: BTreeMap<String, Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (kind, now) in &now {
        let golden = golden.get(kind).unwrap_or_else(|| panic!("{kind} is new: UPDATE_GOLDEN=1"));
        assert_eq!(golden["version"], now["version"], "{kind} has another version: UPDATE_GOLDEN=1");
        for (node, result) in now["results"].as_object().unwrap() {
            assert!(
                is_near(result, &golden["results"][node]),
                "{kind} gives another result for `{node}`: raise its VERSION, then UPDATE_GOLDEN=1"
            );
        }
    }
}
