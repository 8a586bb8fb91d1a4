//! `pipe doctor`, and devices that are not there.

use serde_json::Value;

use crate::common::Project;

#[test]
fn the_doctor_names_devices_and_the_store() {
    let project = Project::with("nodes: { photos: { kind: dataset.synthetic, with: { count: 2 } } }\n");
    let before = project.pipe(&["doctor"]).stdout;
    assert!(before.contains("the first run makes it") && !project.path(".pipe").exists(), "{before}");
    project.ok(&["run"]);
    let ran = project.pipe(&["doctor", "--format", "json"]);
    let checks: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr));
    let state = |name: &str| {
        let check = checks.as_array().unwrap().iter().find(|check| check["name"].as_str().unwrap().starts_with(name));
        check.unwrap_or_else(|| panic!("no {name}: {checks}"))["state"].clone()
    };
    assert_eq!(state("cpu"), "good");
    assert_eq!(state("store"), "good");
    let text = project.pipe(&["doctor"]).stdout;
    assert!(text.starts_with("pipe ") && text.contains("kernels for"), "{text}");
    for name in ["cpu", "cuda", "wgpu", "store"] {
        state(name);
        let is_told = |line: &str| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(name));
        assert!(text.lines().skip(1).any(is_told), "{name}\n{text}");
    }
}

#[test]
fn a_device_computes_something_small() {
    let project = Project::new();
    assert!(project.ok(&["doctor", "--attempt", "cpu"]).stdout.starts_with("kernels run"));
    let none = project.pipe(&["doctor", "--attempt", "cuda:99"]);
    assert!(none.code == 1 && none.stderr.contains("no ") && !none.stderr.contains("panicked"), "{}", none.stderr);
}

#[test]
fn words_that_name_no_device_are_told() {
    let project = Project::with(crate::common::photos::PIPELINE);
    for word in ["gpu", "cuda:x", "wgpu:", "cpu:1x"] {
        let ran = project.pipe(&["run", "--device", word]);
        assert!(ran.code == 2 && ran.stderr.contains("is no device"), "{word}: {}", ran.stderr);
    }
}

#[test]
fn a_precision_that_a_device_has_not_is_told() {
    let project = crate::common::photos::project(20);
    let yaml = crate::common::photos::PIPELINE.replace("weights: random", "weights: random, precision: bf16");
    project.write("pipe.yaml", yaml);
    let ran = project.pipe(&["run", "--device", "cpu"]);
    assert!(ran.code == 1 && ran.stderr.contains("cpu does not compute with bf16"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"));
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_build_without_wgpu_says_how_to_get_it() {
    let project = crate::common::photos::project(20);
    let ran = project.pipe(&["run", "--device", "wgpu"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("pipe::device") && ran.stderr.contains("--features wgpu"), "{}", ran.stderr);
}
