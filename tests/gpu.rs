//! On a GPU that Vulkan or Metal know, be it one that a program plays: what it computes is
//! what the CPU computes.

use std::path::Path;

use serde_json::Value;

use crate::common::photos::{PIPELINE, project};
use crate::common::{Project, distance, real_data};

/// Whether there is one; a test without says that it was skipped.
fn is_there() -> bool {
    match pipe_nn::wgpu_devices() {
        Ok(devices) => {
            eprintln!("on {}", devices[0].text);
            true
        }
        Err(missing) => {
            eprintln!("SKIPPED: {missing}");
            false
        }
    }
}

fn finished(project: &Project, device: &str) -> Value {
    let event = project.finished(&["--device", device]);
    assert_eq!(event["ok"], true, "{event}");
    event
}

#[test]
fn a_gpu_computes_what_the_cpu_computes() {
    if !is_there() {
        return;
    }
    // Of the larger networks a program that plays a GPU would take minutes.
    for (model, pool) in [("squeezenet1_1", "own"), ("squeezenet1_1", "none")] {
        let yaml = PIPELINE
            .replace(
                "squeezenet1_1, weights: random",
                &format!("{model}, weights: random, normalize: imagenet, pool: {pool}"),
            )
            .replace("from: images, with", "from: images, export: features.safetensors, with");
        let run = |device: &str| {
            let project = project(20);
            project.write("pipe.yaml", &yaml);
            let event = finished(&project, device);
            if device != "cpu" {
                let log = project.ok(&["show", "features", "--log"]).stdout;
                assert!(log.starts_with("20 images in ") && log.contains("computing"), "{log}");
            }
            (project.features("features.safetensors"), event["nodes"]["features"]["digest"].clone(), event)
        };
        let (cpu, gpu, again) = (run("cpu"), run("wgpu"), run("wgpu:0"));
        let off = distance(&cpu.0, &gpu.0);
        assert!(off < 1e-3, "{model}: off by {off}");
        assert!(off > 0.0, "{model}: the CPU computed both");
        assert_eq!(gpu.1, again.1, "{model}: two runs differ");
        let loss = |event: &Value| event["nodes"]["eval"]["metrics"]["loss"].as_f64().unwrap();
        assert!((loss(&cpu.2) - loss(&gpu.2)).abs() < 1e-2, "{model}");
    }
}

#[test]
fn half_of_the_bits_give_nearly_the_same_features_or_are_refused() {
    if !is_there() {
        return;
    }
    let run = |features: &str, device: &str| {
        let project = project(20);
        let yaml =
            PIPELINE.replace("squeezenet1_1, weights: random", &format!("squeezenet1_1, weights: random{features}"));
        project.write("pipe.yaml", yaml.replace("from: images, with", "from: images, export: f.safetensors, with"));
        let ran = project.pipe(&["run", "features", "--device", device]);
        (ran, project)
    };
    let (_, exact) = run("", "cpu");
    for (precision, allowed) in [("f16", 1e-2), ("bf16", 1e-1)] {
        let (ran, half) = run(&format!(", precision: {precision}"), "wgpu");
        if ran.code == 1 {
            assert!(ran.stderr.contains(&format!("does not compute with {precision}")), "{}", ran.stderr);
            continue;
        }
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let off = distance(&exact.features("f.safetensors"), &half.features("f.safetensors"));
        eprintln!("{precision}: off by {off}");
        assert!(off > 1e-5 && off < allowed, "{precision}: off by {off}");
    }
}

#[test]
fn a_head_trained_on_either_is_as_good() {
    let (true, Some(data)) = (is_there(), real_data()) else { return };
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/containers.yaml");
    let project = Project::new();
    project.write("pipe.yaml", std::fs::read(pipeline).unwrap());
    let set = format!("data={}", data.display());
    let accuracy = |device: &str| {
        let event = project.finished(&["--set", &set, "--device", device]);
        assert_eq!(event["ok"], true, "{event}");
        event["nodes"]["eval"]["metrics"]["accuracy"].as_f64().unwrap()
    };
    let cpu = accuracy("cpu");
    // The features are those in the store; the head is trained anew.
    project.ok(&["clean", "head"]);
    let gpu = accuracy("wgpu");
    assert!((cpu - gpu).abs() <= 0.005, "{cpu} and {gpu}");
}

#[test]
fn the_doctor_tries_it() {
    if !is_there() {
        return;
    }
    let text = Project::new().ok(&["doctor"]).stdout;
    assert!(text.lines().any(|line| line.contains("wgpu:0") && line.contains("kernels run")), "{text}");
}

#[test]
fn a_network_tunes_as_in_pytorch() {
    let Some(device) = is_there().then(|| pipe_nn::ComputeDevice::wgpu(0).unwrap()) else { return };
    // Others would have a program that plays a GPU compile for minutes.
    crate::tuning::check_gradients("squeezenet1_1", "frozen", &[device]);
    // Shared by two, as if there were two.
    crate::tuning::check_gradients("squeezenet1_1", "frozen", &[device, device]);
    crate::tuning::check_statistics("resnet18", "bn1", &[device, device]);
}

#[test]
fn an_image_that_a_network_does_not_take_is_told() {
    if !is_there() {
        return;
    }
    let ran = project(4).pipe(&["run", "features", "--set", "size=8", "--device", "wgpu"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let expected = "squeezenet1_1 does not take images of 8 x 8 pixels: it is too small";
    assert!(ran.stderr.contains(expected), "no `{expected}` in\n{}", ran.stderr);
}

#[test]
fn a_batch_may_be_asked_for() {
    if !is_there() {
        return;
    }
    let yaml = PIPELINE.replace("from: images, with", "from: images, export: features.safetensors, with");
    let run = |batch: &str| {
        let project = project(12);
        project.write("pipe.yaml", &yaml);
        let mut command = project.command(&["run", "features", "--device", "wgpu"]);
        let ran = crate::common::Ran::from(command.env("PIPE_GPU_BATCH", batch).output().unwrap());
        (project, ran)
    };
    let told = |batch: &str, batches: &str| {
        let (project, ran) = run(batch);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let log = project.ok(&["show", "features", "--log"]).stdout;
        assert!(log.starts_with(&format!("12 images in {batches} batches")), "{log}");
        project.features("features.safetensors")
    };
    assert!(distance(&told("4", "3"), &told("12", "1")) < 1e-5);
    let (_, ran) = run("many");
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("PIPE_GPU_BATCH is \"many\", not a number in 1..=65536"), "{}", ran.stderr);
}

#[test]
fn a_head_learns_as_in_pytorch() {
    let Some(device) = is_there().then(|| pipe_nn::ComputeDevice::wgpu(0).unwrap()) else { return };
    crate::head::check("binary", device);
    crate::head::check("multi", device);
}
