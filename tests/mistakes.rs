//! What a person sees who made a mistake: snapshots of the terminal.

use crate::common::{Project, Ran};

/// What stderr showed, the temporary folder's name taken out.
fn shown(project: &Project, ran: &Ran) -> String {
    let folder = project.path("").canonicalize().unwrap();
    let text = ran.stderr.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), ".");
    let lines: Vec<String> = text.lines().map(|line| timeless(line.trim_end())).collect();
    format!("exit code {}\n{}", ran.code, lines.join("\n"))
}

/// A line without the seconds at its end.
fn timeless(line: &str) -> String {
    let time = line.strip_suffix(" s").and_then(|line| line.rsplit_once(' '));
    match time {
        Some((rest, seconds)) if seconds.parse::<f64>().is_ok() => format!("{rest} [time]"),
        _ => line.to_owned(),
    }
}

/// `pipe run` must give this exit code, show the snapshot, and leave no record of a node behind.
#[track_caller]
fn wrong(name: &str, code: i32, project: &Project, words: &[&str]) {
    let ran = project.pipe(words);
    assert_eq!(ran.code, code, "{}", ran.stderr);
    assert!(!ran.stderr.contains("internal") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, shown(project, &ran));
    });
}

/// A mistake in the file: nothing runs.
#[track_caller]
fn in_file(name: &str, yaml: &str) {
    let project = Project::with(yaml);
    project.write("label.csv", "objectId,value\na00.jpg,0\nb01.jpg,1\n");
    wrong(name, 2, &project, &["run"]);
    assert!(!project.path(".pipe/v1/documents/nodes").exists(), "something was cached");
}

#[test]
fn syntax() {
    in_file("syntax", "nodes:\n  a: { kind: dataset.synthetic\n  b: [\n");
}

#[test]
fn a_file_that_ends_too_early() {
    in_file("ends_early", "name: [\n");
}

#[test]
fn names_that_come_from_params() {
    in_file(
        "names_from_params",
        "params: { kind: split.hsah, from: nobody }\nnodes:\n  a: { kind: \"${kind}\" }\n  b: { kind: split.hash, from: \"${from}\" }\n",
    );
}

#[test]
fn names_that_are_not_known() {
    in_file(
        "unknown",
        "
name: unknown
parms: {}
nodes:
  photos:
    kind: dataset.syntetic
  split:
    kind: split.hash
    from: photo
    with: { tset: 0..=9 }
  other:
    kind: dataset.synthetic
    whit: {}
  head:
    kind: split.hash
    from: othr
",
    );
}

#[test]
fn values_that_do_not_fit() {
    in_file(
        "values",
        "
nodes:
  photos:
    kind: dataset.synthetic
    with: { count: many, classes: 9, size: 12.5 }
  split:
    kind: split.hash
    from: photos
    with: { test: 0-24, balance: yes }
    keep: yes
  images:
    kind: preprocess.image
    from: split
    with: { filter: bilinaer, crop_pct: 0 }
  features:
    kind: features.backbone
    from: images
    with: { weights: random, normalize: { mean: [0.5, 0.5], std: [1, 1, 1] } }
",
    );
}

#[test]
fn params_that_do_not_fit_each_other() {
    in_file(
        "each_other",
        "
nodes:
  photos: { kind: dataset.synthetic }
  split: { kind: split.hash, from: photos, with: { test: 0..=30, validation: 25..=49 } }
",
    );
}

#[test]
fn a_key_written_twice() {
    in_file(
        "duplicate",
        "
nodes:
  photos:
    kind: dataset.synthetic
    with: { count: 10, count: 20 }
  photos:
    kind: dataset.synthetic
",
    );
}

#[test]
fn a_cycle() {
    in_file(
        "cycle",
        "
nodes:
  one: { kind: split.hash, from: three }
  two: { kind: split.hash, from: one }
  three: { kind: split.hash, from: two }
",
    );
}

#[test]
fn artifacts_that_do_not_fit() {
    in_file(
        "artifacts",
        "
nodes:
  photos: { kind: dataset.synthetic }
  features: { kind: features.backbone, from: photos, with: { model: squeezenet1_1, weights: random } }
  head: { kind: train.head, from: features }
  eval: { kind: eval.classifier, from: head }
  other: { kind: eval.classifier, from: { model: head.history, data: features } }
",
    );
}

#[test]
fn a_missing_file() {
    in_file(
        "missing_file",
        "
params: { data: nowhere }
nodes:
  labels: { kind: dataset.csv, with: { labels: \"${data}/label.csv\", objects: [label.csv] } }
",
    );
}

#[test]
fn settings_that_do_not_fit() {
    let project = Project::with(
        "params: { epochs: 3 }\nnodes:\n  photos: { kind: dataset.synthetic, with: { count: \"${epochs}\" } }\n",
    );
    wrong("settings", 2, &project, &["run", "--set", "epochs=few", "--set", "epoch=2", "--set", "lr"]);
}

#[test]
fn no_file_and_no_such_node() {
    let project = Project::new();
    wrong("no_file", 2, &project, &["run"]);
    project.write("pipe.yaml", "nodes:\n  photos: { kind: dataset.synthetic }\n");
    wrong("no_node", 2, &project, &["run", "photo"]);
}

/// A pipeline over `label.csv` and `objects`.
const OVER_CSV: &str = "
nodes:
  labels: { kind: dataset.csv, with: { labels: label.csv, objects: [objects] } }
  split: { kind: split.hash, from: labels, with: { test: 0..=60, validation: 61..=120 } }
  images: { kind: preprocess.image, from: split, with: { size: 32 } }
  features: { kind: features.backbone, from: images, with: { model: squeezenet1_1, weights: random } }
  head: { kind: train.head, from: features, with: { epochs: 1 } }
";

fn over_csv(csv: &str) -> Project {
    let project = Project::with(OVER_CSV);
    project.write("label.csv", csv);
    std::fs::create_dir(project.path("objects")).unwrap();
    project
}

#[test]
fn a_table_without_a_column() {
    wrong("no_column", 1, &over_csv("object,value\na.jpg,0\n"), &["run"]);
}

#[test]
fn a_table_with_a_broken_row() {
    wrong("broken_row", 1, &over_csv("objectId,value\na.jpg,0\nb.jpg\nc.jpg,1\n"), &["run"]);
    wrong("empty_cell", 1, &over_csv("objectId,value\na.jpg,0\nb.jpg,\nc.jpg,1\n"), &["run"]);
    wrong("no_rows", 1, &over_csv("objectId,value\n"), &["run"]);
}

#[test]
fn rows_without_a_file() {
    wrong("no_object", 1, &over_csv("objectId,value\naabb00.jpg,0\nccdd01.jpg,1\n"), &["run"]);
}

fn jpeg(shade: u8) -> Vec<u8> {
    let mut jpeg = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([shade, x as u8, (x * y) as u8]));
    image.write_to(&mut jpeg, image::ImageFormat::Jpeg).unwrap();
    jpeg.into_inner()
}

fn broken_photos() -> Project {
    let project = over_csv("");
    let whole = jpeg(7);
    let mut csv = "objectId,value\n".to_owned();
    let photos: [&[u8]; 5] = [&jpeg(1), &jpeg(2), &whole[..whole.len() / 2], b"a text, not a photo", b""];
    for (number, photo) in photos.into_iter().enumerate() {
        csv.push_str(&format!("{},{}\n", project.object("objects", photo), number % 2));
    }
    project.write("label.csv", csv);
    project
}

#[test]
fn photos_that_cannot_be_decoded_are_all_named() {
    let project = broken_photos();
    wrong("broken_photos", 1, &project, &["run"]);
    let images = std::fs::read_dir(project.path(".pipe/v1/documents/nodes")).unwrap().count();
    assert_eq!(images, 2, "the dataset and the split alone are recorded");
}

#[test]
fn broken_photos_can_be_left_out() {
    let project = broken_photos();
    project.write("pipe.yaml", OVER_CSV.replace("size: 32 }", "size: 32, on_error: skip }"));
    let event = project.finished(&["features"]);
    assert_eq!(event["ok"], true);
    assert_eq!(event["nodes"]["features"]["items_skipped"], 3);
    let shown = project.ok(&["show", "features"]).stdout;
    assert!(shown.contains("3 skipped") && shown.contains("holds text") && shown.contains("is empty"), "{shown}");
}

#[test]
fn a_class_without_train_rows() {
    let project = over_csv("");
    let mut csv = "objectId,value\n".to_owned();
    // Keys 0x00 are test rows.
    for shade in 0..8u8 {
        let bytes = jpeg(shade);
        let name = if shade < 6 { format!("{shade:038x}ff.jpg") } else { format!("{shade:038x}00.jpg") };
        project.write(&format!("objects/{}/{}/{name}", &name[..2], &name[2..4]), bytes);
        csv.push_str(&format!("{name},{}\n", u8::from(shade < 6)));
    }
    project.write("label.csv", csv);
    wrong("no_train_rows", 1, &project, &["run", "head"]);
}

#[test]
fn an_empty_class_folder() {
    let project = Project::with("nodes:\n  photos: { kind: dataset.folder, with: { path: photos } }\n");
    project.write("photos/cat/1.jpg", jpeg(1));
    std::fs::create_dir(project.path("photos/dog")).unwrap();
    wrong("empty_class", 1, &project, &["run"]);
}

#[test]
fn names_that_are_no_hashes() {
    let project = Project::with(
        "nodes:\n  photos: { kind: dataset.folder, with: { path: photos } }\n  split: { kind: split.hash, from: photos }\n",
    );
    project.write("photos/cat/tom.jpg", jpeg(1));
    project.write("photos/dog/rex.jpg", jpeg(2));
    wrong("no_hash", 1, &project, &["run"]);
}

#[test]
fn weights_of_another_shape() {
    let project = broken_photos();
    project.write(
        "pipe.yaml",
        OVER_CSV
            .replace("weights: random", "weights: w.safetensors")
            .replace("size: 32 }", "size: 32, on_error: skip }"),
    );
    let zeros = vec![0; 64 * 3 * 5 * 5 * 4];
    let view =
        |shape: Vec<usize>, bytes| safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, bytes).unwrap();
    let tensors = [("features.0.weight", view(vec![64, 3, 5, 5], &zeros)), ("extra", view(vec![1], &zeros[..4]))];
    project.write("w.safetensors", safetensors::serialize(tensors, None).unwrap());
    wrong("weights_shape", 1, &project, &["run", "features"]);
    project.write("w.safetensors", "not weights");
    wrong("weights_format", 1, &project, &["run", "features"]);
}

#[test]
fn a_gpu_that_is_not_there() {
    let project = Project::with(&OVER_CSV.replace(
        "dataset.csv, with: { labels: label.csv, objects: [objects] }",
        "dataset.synthetic, with: { count: 20, size: 32 }",
    ));
    if project.pipe(&["run", "features", "--device", "cuda"]).code == 0 {
        eprintln!("SKIPPED: this machine has a GPU");
        return;
    }
    let ran = project.pipe(&["run", "features", "--device", "cuda"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot use cuda: ") && ran.stderr.contains("--device cpu"), "{}", ran.stderr);
    project.ok(&["run", "features", "--device", "auto"]);
    let wrong = project.pipe(&["run", "--device", "tpu"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("is no device"), "{}", wrong.stderr);
}

#[test]
fn a_table_that_contradicts_itself_or_leads_out_of_its_trees() {
    wrong("two_labels", 1, &over_csv("objectId,value\na.jpg,0\nb.jpg,1\na.jpg,1\n"), &["run"]);
    let project = over_csv("objectId,value\n../pipe.yaml,0\n/etc/hosts,1\n");
    wrong("out_of_tree", 1, &project, &["run"]);
}

#[test]
fn a_photo_too_long_to_cover_a_square() {
    let project = Project::with(
        "nodes:\n  photos: { kind: dataset.folder, with: { path: photos } }\n  \
         images: { kind: preprocess.image, from: photos, with: { size: 4096, fit: cover, crop_pct: 0.1 } }\n",
    );
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(5000, 10).write_to(&mut png, image::ImageFormat::Png).unwrap();
    project.write("photos/long/1.png", png.into_inner());
    wrong("too_long", 1, &project, &["run"]);
}

#[test]
fn a_store_that_cannot_be_made() {
    let project = Project::with("nodes:\n  photos: { kind: dataset.synthetic }\n");
    let ran = Ran::from(project.command(&["run"]).env("PIPE_STORE", project.path("pipe.yaml")).output().unwrap());
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("the store cannot make the folder"), "{}", ran.stderr);
}
