//! The pipelines that come with the project, and those in its docs, run as they stand.

use std::path::Path;

use serde_json::Value;

use crate::common::Project;
use crate::errors::{blocks, shell};

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn accuracy(project: &Project) -> f64 {
    let metrics: Value = serde_json::from_str(&project.ok(&["show", "eval", "--format", "json"]).stdout).unwrap();
    metrics["accuracy"].as_f64().unwrap()
}

#[test]
fn the_quickstart_learns() {
    let project = Project::with(&text("pipelines/quickstart.yaml"));
    project.ok(&["run"]);
    let found = accuracy(&project);
    assert!(found > 0.9, "test accuracy {found}");
}

/// 80 photos of two classes, with their table, in a folder.
fn photos(project: &Project, folder: &str) {
    let mut csv = "objectId,value\n".to_owned();
    for number in 0..80u8 {
        let pixel = |x: u32, y: u32| image::Rgb([number, x as u8, (y * u32::from(number % 2)) as u8]);
        let mut jpeg = std::io::Cursor::new(Vec::new());
        image::RgbImage::from_fn(50, 40, pixel).write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
        csv.push_str(&format!("{},{}\n", project.object(&format!("{folder}/objects"), jpeg.get_ref()), number % 2));
    }
    project.write(&format!("{folder}/label.csv"), csv);
}

#[test]
fn the_article_runs_on_photos_of_its_layout() {
    let project = Project::with(&text("pipelines/article.yaml"));
    photos(&project, "data");
    // Not the author's weights, which nobody can redistribute here.
    let event = project.finished(&["--set", "weights=random"]);
    assert_eq!(event["ok"], true);
    assert_eq!(event["nodes"]["features"]["items_computed"], 80);
    let model: Value = serde_json::from_str(&project.ok(&["show", "head", "--format", "json"]).stdout).unwrap();
    // The article's 4,049,564 count BatchNorm's 42,016 running statistics too.
    assert_eq!(model["parameters"]["backbone"], 4_007_548);
    assert_eq!(model["parameters"]["head"], 1_281);
}

/// Not on the real ones, which take minutes.
#[test]
fn fine_tuning_runs_on_photos_of_its_layout() {
    let project = Project::with(&text("pipelines/finetune.yaml"));
    photos(&project, "data/dev-containers");
    let network = pipe_network::network("mobilenet_v2").unwrap();
    let weights = pipe_network::Weights::random(&network, 0).without_classifier(&network);
    let file = "data/weights/mobilenet_v2_imagenet_features.safetensors";
    project.write(file, weights.to_safetensors().unwrap());
    let event = project.finished(&["--set", "epochs=1"]);
    assert_eq!(event["ok"], true, "{event}");
    assert!(event["nodes"]["eval"]["metrics"]["accuracy"].is_number(), "{event}");
}

/// Runs the blocks of a page, in a new project for each heading. A block that begins with `# file: NAME`
/// is that file; other YAML is the pipeline, which must run; `sh` blocks are run after the files before
/// them, `sh setup` blocks before the pipeline.
fn run_page(page: &str, change: impl Fn(&str) -> String) -> usize {
    let mut run = 0;
    for section in text(page).split("\n## ") {
        let blocks = blocks(section);
        let project = Project::new();
        for setup in blocks.iter().filter(|block| block.info == "sh setup") {
            let ran = shell(&project, &setup.text);
            assert_eq!(ran.code, 0, "{}\n{}", setup.text, ran.stderr);
        }
        for block in &blocks {
            run += 1;
            let file = block.text.lines().next().and_then(|line| line.strip_prefix("# file: "));
            match (block.info.as_str(), file) {
                ("sh setup", _) => {}
                (_, Some(file)) => project.write(file, &block.text),
                ("yaml", None) => {
                    project.write("pipe.yaml", change(&block.text));
                    let waits = blocks
                        .iter()
                        .any(|other| other.text.starts_with("# file: ") && !project.path(name(other)).exists());
                    if !waits {
                        project.ok(&["run"]);
                        project.ok(&["fmt", "--check"]);
                    }
                }
                ("sh", None) => {
                    let ran = shell(&project, &block.text);
                    assert_eq!(ran.code, 0, "{page}: {}\n{}", block.text, ran.stderr);
                }
                (info, None) => panic!("{page}: a block of {info:?} that nothing runs"),
            }
        }
    }
    run
}

/// The file that a block is.
fn name(block: &crate::errors::Block) -> &str {
    block.text.lines().next().and_then(|line| line.strip_prefix("# file: ")).unwrap_or_default()
}

#[test]
fn every_block_of_the_language_runs() {
    assert!(run_page("docs/language.md", str::to_owned) > 20);
}

#[test]
fn the_examples_in_the_readme_run() {
    for block in blocks(&text("README.md")).into_iter().filter(|block| block.info == "yaml") {
        let project = Project::new();
        // The README's photos and weights are the reader's own.
        let block = block
            .text
            .replace("dataset.folder, with: { path: photos }", "dataset.synthetic, with: { count: 60, size: 32 }")
            .replace("weights/mobilenet_v2.safetensors", "random");
        project.write("pipe.yaml", block.replace("size: 224", "size: 64"));
        project.ok(&["run"]);
    }
}
