//! The JSON Schema that editors check with says the same of a file as `pipe` does.

use std::path::Path;

use miette::Diagnostic;
use serde_json::{Value, json};

use crate::common::Project;
use crate::errors::{blocks, page, sections};

/// Codes of mistakes that a schema can see: the form of the file and of each value.
const OF_FORM: [&str; 6] =
    ["unknown_key", "unknown_kind", "wrong_type", "out_of_range", "missing_param", "missing_input"];

fn validator() -> jsonschema::Validator {
    let kinds = pipe::kinds();
    jsonschema::draft7::new(&pipe_lang::schema(kinds.language())).unwrap()
}

/// What `pipe` finds wrong with a text: the codes and messages.
fn problems(text: &str) -> Vec<(String, String)> {
    let kinds = pipe::kinds();
    let given = pipe_lang::Given::default();
    match pipe_lang::check("pipe.yaml", text, Path::new("."), &given, kinds.language()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.0.iter().map(|one| (one.code().unwrap().to_string(), one.to_string())).collect(),
    }
}

/// Whether a mistake is one of form: a param that a kind does not have, but not one that the pipeline
/// does not declare.
fn is_of_form((code, message): &(String, String)) -> bool {
    let code = code.strip_prefix("pipe::").unwrap();
    // A param without a value may be given one on the command line.
    let unset = code == "missing_param" && message.ends_with("has no value");
    (OF_FORM.contains(&code) && !unset) || (code == "unknown_param" && message.starts_with("unknown param"))
}

#[test]
fn pipelines_are_valid_and_mistakes_of_form_are_not() {
    let validator = validator();
    let mut seen = 0;
    for page_name in ["docs/language.md", "README.md"] {
        for block in
            blocks(&page(page_name)).iter().filter(|block| block.info == "yaml" && block.text.contains("nodes:"))
        {
            let value: Value = serde_yaml::from_str(&block.text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}\n{errors:?}", block.text);
            seen += 1;
        }
    }
    for folder in ["pipelines", "stdlib/pipelines"] {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "yaml") {
                let value: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
                assert!(validator.is_valid(&value), "{}", path.display());
                seen += 1;
            }
        }
    }
    for (code, blocks) in sections() {
        let of_form = OF_FORM.contains(&code.strip_prefix("pipe::").unwrap());
        for block in blocks.iter().filter(|block| block.info.starts_with("yaml")) {
            // What is not YAML, or has a key twice, has no value.
            let Ok(value) = serde_yaml::from_str::<Value>(&block.text) else { continue };
            let wrong = block.info == "yaml wrong" && of_form;
            assert_eq!(validator.is_valid(&value), !wrong, "{code}, {}\n{}", block.info, block.text);
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

const PIPELINE: &str = r#"
name: all
params: { epochs: 3, typed: { type: int, default: 3, help: words } }
nodes:
  photos: { kind: dataset.synthetic, with: { count: 20, size: 32, classes: 2, seed: 1 } }
  split: { kind: split.hash, from: photos, with: { test: 0..=24, balance: truncate }, keep: true }
  images: { kind: preprocess.image, from: { records: split }, with: { size: 32, filter: nearest, crop_pct: 0.5 } }
  features: { kind: features.backbone, from: images, with: { model: squeezenet1_1, weights: random, normalize: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] } } }
  head: { kind: train.head, from: features, matrix: { lr: [0.1, 0.2] }, with: { epochs: 2, optimizer: { adam: { lr: 0.1, betas: [0.9, 0.99] } } } }
  eval: { kind: eval.classifier, from: { model: head, data: features }, export: { metrics: "m-${matrix.lr}.json" }, when: true }
  compare: { kind: compare.metrics, from: { metrics: "eval[*]" }, with: { metric: accuracy, goal: max } }
  shell: { kind: shell, from: { a: split }, with: { command: "ls", env: { A: b }, outputs: [x], timeout: 3, retries: 1 } }
  values: { kind: process.map, from: split, with: { command: "cat", batch_size: 2, on_error: skip } }
"#;

/// Every value with another in its place, every key under another name, every key left out.
fn changed(value: &Value) -> Vec<Value> {
    let others = || vec![json!("word"), json!(-1), json!(0.25), json!(true), json!([]), json!({}), json!(null)];
    let mut found = Vec::new();
    match value {
        Value::Object(map) => {
            for (key, held) in map {
                let with = |new: Option<(&str, Value)>| {
                    let mut map = map.clone();
                    map.shift_remove(key);
                    if let Some((name, value)) = new {
                        map.insert(name.to_owned(), value);
                    }
                    Value::Object(map)
                };
                found.push(with(None));
                found.push(with(Some((&format!("{key}x"), held.clone()))));
                found.extend(changed(held).into_iter().chain(others()).map(|value| with(Some((key, value)))));
            }
        }
        Value::Array(items) => {
            for at in 0..items.len() {
                let with = |value: Value| {
                    let mut items = items.clone();
                    items[at] = value;
                    Value::Array(items)
                };
                found.extend(changed(&items[at]).into_iter().chain(others()).map(with));
            }
            found.push(items[..items.len() - 1].iter().cloned().collect());
        }
        _ => {}
    }
    found
}

#[test]
fn the_schema_and_pipe_agree_on_every_change() {
    let validator = validator();
    let value: Value = serde_yaml::from_str(PIPELINE).unwrap();
    assert!(validator.is_valid(&value) && problems(PIPELINE).is_empty(), "{:?}", problems(PIPELINE));
    let changed = changed(&value);
    assert!(changed.len() > 800, "{}", changed.len());
    let mut differ = Vec::new();
    for value in &changed {
        // JSON is YAML.
        let text = value.to_string();
        let found = problems(&text);
        let wrong = found.iter().any(is_of_form);
        // Of the form of mistakes elsewhere nothing is known: a name that does not exist is none.
        if wrong == validator.is_valid(value) {
            let said: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
            differ.push(format!("{text}\n  pipe: {found:?}\n  schema: {said:?}"));
        }
    }
    assert!(
        differ.is_empty(),
        "{} of {} differ, the first:\n{}",
        differ.len(),
        changed.len(),
        differ[..differ.len().min(400)].join("\n\n")
    );
}

#[test]
fn the_schema_is_printed() {
    let schema: Value = serde_json::from_str(&Project::new().ok(&["schema"]).stdout).unwrap();
    assert_eq!(schema["title"], "A pipeline of pipe");
    jsonschema::meta::validate(&schema).unwrap();
}
