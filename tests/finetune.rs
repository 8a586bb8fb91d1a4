//! `train.finetune` from the command line.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::common::Project;
use crate::common::photos::nodes;

const PIPELINE: &str = "
name: tune
params: { epochs: 4, seed: 0, keep: last, validation: 30..=80 }
nodes:
  photos: { kind: dataset.synthetic, with: { count: 48, size: 40, seed: 3 } }
  split: { kind: split.hash, from: photos, with: { test: 0..=29, validation: \"${validation}\" } }
  images: { kind: preprocess.image, from: split, with: { size: 40 } }
  tuned:
    kind: train.finetune
    from: images
    with:
      model: squeezenet1_1
      weights: random
      normalize: imagenet
      epochs: \"${epochs}\"
      batch_size: 8
      optimizer: { adamw: { lr: 0.001 } }
      augment: { flip: horizontal, crop: 0.6, brightness: 0.2 }
      dropout: 0.2
      warmup_epochs: 0.5
      class_weight: balanced
      keep: \"${keep}\"
      seed: \"${seed}\"
  eval: { kind: eval.classifier, from: { model: tuned, data: tuned.features } }
";

fn shown(project: &Project, what: &str) -> Value {
    serde_json::from_str(&project.ok(&["show", what, "--format", "json"]).stdout).unwrap()
}

fn epochs(project: &Project, what: &str) -> Vec<f64> {
    serde_json::from_value(shown(project, "tuned.history")["epochs"][what].clone()).unwrap()
}

#[test]
fn a_network_learns_and_is_cached() {
    let project = Project::with(PIPELINE);
    let first = project.finished(&["--set", "epochs=12"]);
    assert_eq!(first["ok"], true, "{first}");
    let losses = epochs(&project, "loss");
    assert!(losses[11] < 0.7 * losses[0], "{losses:?}");
    let metrics = &first["nodes"]["eval"]["metrics"];
    assert!(metrics["loss"].as_f64().unwrap() < losses[0], "{metrics}");
    let model = shown(&project, "tuned");
    assert_eq!(model["parameters"]["backbone"], 722_496);
    assert_eq!(model["parameters"]["head"], 513);
    let second = project.finished(&["--set", "epochs=12"]);
    assert_eq!((&second["ran"], &second["reused"]), (&json!(0), &json!(5)));
    let longer = project.finished(&["--set", "epochs=1"]);
    assert_eq!(nodes(&longer, "ran"), ["eval", "tuned"]);
}

#[test]
fn it_tells_how_long_it_waits() {
    let project = Project::with(PIPELINE);
    let ran = project.ok(&["run", "--set", "epochs=1", "--format", "json"]);
    let events: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let loads: Vec<&Value> = events.iter().filter(|event| event["event"] == "load").collect();
    assert!(!loads.is_empty(), "{}", ran.stdout);
    for load in loads {
        assert_eq!(load["node"], "tuned");
        assert!((0.0..=1.0).contains(&load["waiting"].as_f64().unwrap()), "{load}");
        assert!(load.get("busy").is_none(), "no GPU is asked: {load}");
    }
}

#[test]
fn chance_starts_where_the_seed_says_whatever_the_threads() {
    let digest = |words: &[&str]| {
        let event = Project::with(PIPELINE).finished(&[&["--set", "epochs=1"], words].concat());
        assert_eq!(event["ok"], true, "{event}");
        event["nodes"]["tuned"]["digest"].clone()
    };
    let one = digest(&["-j", "1"]);
    assert!(one.is_string());
    assert_eq!(one, digest(&["-j", "3"]));
    assert_ne!(one, digest(&["--set", "seed=1"]));
}

#[test]
fn the_best_epoch_is_kept() {
    let project = Project::with(PIPELINE);
    let event = project.finished(&["--set", "keep=best"]);
    assert_eq!(event["ok"], true, "{event}");
    let losses = epochs(&project, "val_loss");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(shown(&project, "tuned.history")["val_loss"], best);
    // The features are those of that epoch, so evaluation sees the same loss on the validation rows.
    let found = shown(&project, "eval")["validation"]["loss"].as_f64().unwrap();
    assert!((found - best).abs() < 1e-5, "{found} and {best}");
}

/// The bytes of a network's tensors after an epoch with such params.
fn tuned(yaml: &str, params: &str) -> BTreeMap<String, Vec<u8>> {
    let project = Project::with(&yaml.replace("epochs: \"${epochs}\"", &format!("epochs: 1\n      {params}")));
    project.ok(&["run", "tuned"]);
    project.ok(&["restore", "tuned", "model"]);
    let bytes = std::fs::read(project.path("model/backbone.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    file.tensors().into_iter().map(|(name, tensor)| (name, tensor.data().to_vec())).collect()
}

#[test]
fn blocks_that_are_frozen_stay_as_they_are() {
    let tensors = |freeze: &str| tuned(PIPELINE, freeze);
    let (all, few) = (tensors(""), tensors("freeze: 4"));
    // Both started from the same random weights; the first convolution is trained in one of them.
    let names: Vec<&String> = all.keys().filter(|name| all[*name] != few[*name]).collect();
    assert!(names.len() > 10, "{names:?}");
    let untrained = tensors("freeze: 100");
    let moved = |of: &BTreeMap<String, Vec<u8>>| -> Vec<String> {
        of.keys().filter(|name| of[*name] != untrained[*name]).cloned().collect()
    };
    assert_eq!(moved(&all).len(), all.len(), "{:?}", moved(&all));
    assert!(
        moved(&few).iter().all(|name| !["features.0.weight", "features.3.squeeze.weight"].contains(&name.as_str()))
    );
    assert!(moved(&few).contains(&"features.12.squeeze.weight".to_owned()), "{:?}", moved(&few));
}

#[test]
fn frozen_norms_keep_their_statistics() {
    let yaml = PIPELINE.replace("squeezenet1_1", "mobilenet_v3_small");
    let tensors = tuned(&yaml, "norms: batch\n      freeze: 2");
    // They began with 0.
    let has_moved = |norm: &str| tensors[&format!("{norm}.running_mean")].iter().any(|&byte| byte != 0);
    for norm in ["features.0.1", "features.1.block.0.1", "features.1.block.2.1"] {
        assert!(!has_moved(norm), "{norm}");
    }
    for norm in ["features.2.block.0.1", "features.12.1"] {
        assert!(has_moved(norm), "{norm}");
    }
}

#[test]
fn what_cannot_be_trained_is_told() {
    let failed = |yaml: &str, words: &[&str], code: i32, parts: &[&str]| {
        let ran = Project::with(yaml).pipe(&[&["run"], words].concat());
        assert_eq!(ran.code, code, "{}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "no `{part}` in\n{}", ran.stderr);
        }
    };
    let warmup = PIPELINE.replace("warmup_epochs: 0.5", "warmup_epochs: 9");
    failed(&warmup, &[], 2, &["9 epochs of warm-up are more than the 4 epochs", "pipe.yaml:"]);
    let none = ["--set", "keep=best", "--set", "validation=255..=255"];
    failed(PIPELINE, &none, 1, &["no validation rows to tell the best epoch by", "keep: last"]);
    let far = PIPELINE.replace("lr: 0.001", "lr: 10.0").replace("warmup_epochs: 0.5", "warmup_epochs: 0");
    failed(
        &far.replace("adamw", "sgd"),
        &[],
        1,
        &["the loss is no longer a number after epoch", "lower the learning rate"],
    );
    let small = PIPELINE.replace("with: { size: 40 }", "with: { size: 8 }");
    failed(&small, &[], 1, &["squeezenet1_1 does not take images of 8 x 8 pixels: it is too small", "another `size`"]);
    let half = PIPELINE.replace("normalize: imagenet", "normalize: imagenet\n      precision: bf16");
    failed(&half, &["--device", "cpu"], 1, &["cpu does not compute with bf16", "precision: f32"]);
}
