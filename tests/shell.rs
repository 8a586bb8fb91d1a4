//! Nodes of kind `shell`, and outputs left as ordinary files.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{Project, Ran};

const PIPELINE: &str = "
nodes:
  count: { kind: shell, with: { command: 'wc -l < rows.txt > \"$out/count.txt\"; echo counted', inputs: [rows.txt] }, export: count.txt }
  twice: { kind: shell, from: count, with: { command: 'cat \"$count\" \"$count\" > \"$out/twice.txt\"' } }
  both: { kind: shell, from: { one: count, other: twice }, with: { command: 'mkdir \"$out/a\"; cp \"$one\" \"$out/a/one\"; cp \"$other\" \"$out/other\"; touch \"$out/unwanted\"', outputs: [a, other] }, export: both }
";

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.write("rows.txt", "a\nb\n");
    project
}

#[test]
fn a_command_is_cached_like_every_node() {
    let project = project();
    assert_eq!(project.finished(&[])["ran"], 3);
    assert_eq!(project.read("count.txt").trim(), "2");
    assert_eq!(project.read("both/other"), "2\n2\n");
    assert_eq!(project.read("both/a/one"), "2\n");
    assert!(!project.path("both/unwanted").exists());
    assert_eq!(project.finished(&[])["ran"], 0);
    assert_eq!(project.ok(&["show", "count", "--log"]).stdout, "counted\n");
    assert!(project.ok(&["show", "both"]).stdout.contains("a/one"));
    // Other bytes with an equal result stop the wave.
    project.write("rows.txt", "c\nd\n");
    let event = project.finished(&[]);
    assert_eq!(event["nodes"]["count"]["status"], "unchanged");
    assert_eq!(event["nodes"]["twice"]["status"], "reused");
    project.write("rows.txt", "a\nb\nc\n");
    assert_eq!(project.finished(&[])["ran"], 3);
    assert_eq!(project.read("both/other"), "3\n3\n");
}

#[test]
fn what_a_command_does_wrong_is_told() {
    let cases = [
        ("echo a line; echo an error >&2; exit 3", "", ["exit status: 3", "an error"]),
        ("true", "", ["wrote nothing", "$out"]),
        ("echo x > \"$out/x\"", ", outputs: [y]", ["did not write `y`", "$out/y"]),
        ("echo x > \"$out/x\"", ", outputs: [../y]", ["does not lie in `$out`", "inside `$out`"]),
        ("", "", ["the command is empty", "command"]),
        ("no-such-program", "", ["not found", "exit status: 127"]),
    ];
    for (command, more, expected) in cases {
        let project =
            Project::with(&format!("nodes: {{ it: {{ kind: shell, with: {{ command: '{command}'{more} }} }} }}"));
        let ran = project.pipe(&["run"]);
        assert_ne!(ran.code, 0, "{command}");
        assert!(expected.iter().all(|text| ran.stderr.contains(text)), "{command}: {}", ran.stderr);
        // A failure is not remembered.
        assert_ne!(project.pipe(&["run"]).code, 0, "{command}");
    }
}

#[test]
fn names_of_inputs_are_checked() {
    let yaml = "
nodes:
  one: { kind: shell, with: { command: 'echo 1 > \"$out/f\"' } }
  2nd: { kind: shell, from: one, with: { command: 'cat \"$one\" > \"$out/f\"' } }
  bad: { kind: shell, from: 2nd, with: { command: 'true' } }
  same: { kind: shell, from: [one, one], with: { command: 'true' } }
";
    let project = Project::with(yaml);
    let checked = project.pipe(&["check"]);
    assert_eq!(checked.code, 2);
    assert!(checked.stderr.contains("two inputs of `same` are called `one`"), "{}", checked.stderr);
    project.write("pipe.yaml", yaml.replace("[one, one]", "[one, 2nd]"));
    let ran = project.pipe(&["run", "bad"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("`2nd` cannot be a variable"), "{}", ran.stderr);
}

#[test]
fn any_artifact_reaches_a_command_as_files() {
    let project = Project::with(
        "
nodes:
  photos: { kind: dataset.synthetic, with: { count: 12, size: 16 } }
  split: { kind: split.hash, from: photos, with: { by: content, test: 0..=80, validation: 81..=160 } }
  images: { kind: preprocess.image, from: split, with: { size: 32 } , keep: true }
  features: { kind: features.backbone, from: images, with: { model: squeezenet1_1, weights: random } }
  head: { kind: train.head, from: features, with: { epochs: 1 } }
  eval: { kind: eval.classifier, from: { model: head, data: features } }
  all:
    kind: shell
    from: { table: split, images: images, features: features, model: head, metrics: eval, rows: eval.predictions }
    with:
      command: |
        head -1 \"$table\" > \"$out/header\"
        ls \"$images\" | wc -l > \"$out/images\"
        test -s \"$features\" && test -s \"$model/model.json\" && test -s \"$model/head.safetensors\"
        grep -c accuracy \"$metrics\" > \"$out/metrics\"
        wc -l < \"$rows\" > \"$out/rows\"
    export: all
",
    );
    project.ok(&["run"]);
    assert_eq!(project.read("all/header"), "objectId,value,type\n");
    assert_eq!(project.read("all/images").trim(), "12");
    assert_eq!(project.read("all/rows").trim(), "13");
}

#[test]
fn exports_follow_the_result_and_overwrite_nothing_of_yours() {
    let project = project();
    project.write("count.txt", "mine");
    let ran = project.pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("count.txt is there already") && ran.stderr.contains("1 failed"), "{}", ran.stderr);
    assert_eq!(project.read("count.txt"), "mine");
    fs::remove_file(project.path("count.txt")).unwrap();
    project.ok(&["run"]);
    // What is lost is left again.
    fs::remove_file(project.path("count.txt")).unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("count.txt").trim(), "2");
    // What was changed by hand, or put beside, is in the way, and stays.
    fs::remove_file(project.path("count.txt")).unwrap();
    project.write("count.txt", "changed");
    let changed = project.pipe(&["run"]);
    assert!(changed.code == 1 && changed.stderr.contains("pipe::in_the_way"), "{}", changed.stderr);
    assert_eq!(project.read("count.txt"), "changed");
    fs::remove_file(project.path("count.txt")).unwrap();
    project.write("both/notes.txt", "mine");
    project.write("rows.txt", "one\n");
    let beside = project.pipe(&["run"]);
    assert!(beside.code == 1 && beside.stderr.contains("notes.txt"), "{}", beside.stderr);
    assert_eq!(project.read("both/notes.txt"), "mine");
    fs::remove_file(project.path("both/notes.txt")).unwrap();
    project.ok(&["run"]);
    assert_eq!(project.read("both/other"), "1\n1\n");
    // Without a memory of having left it, what is there and equal is taken for it.
    fs::remove_dir_all(project.path(".pipe")).unwrap();
    project.ok(&["run"]);
    let yaml = PIPELINE.replace("export: count.txt", "export: { fils: count.txt }");
    project.write("pipe.yaml", yaml);
    assert!(project.pipe(&["run"]).stderr.contains("did you mean `files`?"));
}

#[cfg(unix)]
#[test]
fn what_links_lead_to_stays_where_it_is() {
    let cases = [
        ("ln -s \"$PWD/mine\" \"$out/data\"", "is a link"),
        ("ln -s \"$PWD/mine/a.txt\" \"$out/a.txt\"", "is a link"),
        ("mkfifo \"$out/p\"", "neither a file nor a folder"),
    ];
    for (command, expected) in cases {
        let project = Project::with(&format!("nodes: {{ x: {{ kind: shell, with: {{ command: '{command}' }} }} }}"));
        project.write("mine/a.txt", "precious");
        let ran = project.pipe(&["run"]);
        assert!(ran.code == 1 && ran.stderr.contains(expected), "{}", ran.stderr);
        assert_eq!(project.read("mine/a.txt"), "precious");
        project.write("mine/a.txt", "still mine to write");
    }
}

#[test]
fn two_outputs_cannot_be_exported_to_one_place() {
    let yaml = PIPELINE.replace("export: both", "export: count.txt");
    let project = Project::with(&yaml);
    project.write("rows.txt", "");
    let checked = project.pipe(&["check"]);
    assert!(checked.code == 2 && checked.stderr.contains("two outputs are exported"), "{}", checked.stderr);
}

#[test]
fn a_command_has_variables_of_its_own() {
    let project = Project::with(
        "
params: { n: 7 }
nodes:
  x: { kind: shell, with: { command: 'v=3; echo \"${n} $${v} $v\" > \"$out/x\"' }, export: x.txt }
",
    );
    project.ok(&["run"]);
    assert_eq!(project.read("x.txt"), "7 3 3\n");
}

#[test]
fn runs_at_once_may_export_to_one_place() {
    let yaml = "params: { n: 0 }\nnodes: { x: { kind: shell, with: { command: 'mkdir \"$out/d\"; echo ${n} > \"$out/d/f\"; echo 1 > \"$out/g\"' }, export: res } }";
    let project = Project::with(yaml);
    let running: Vec<_> = (0..6)
        .map(|n| project.command(&["run", "--set", &format!("n={n}")]).stderr(Stdio::piped()).spawn().unwrap())
        .collect();
    for child in running {
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    assert_eq!(project.read("res/g"), "1\n");
}

#[test]
fn artifacts_are_restored_as_ordinary_files() {
    let project = Project::new();
    project.ok(&["init"]);
    project.ok(&["run"]);
    let places = [
        ("split", "split.csv"),
        ("features", "features.safetensors"),
        ("head", "head"),
        ("head.history", "history.json"),
        ("eval", "eval.json"),
        ("eval.predictions", "predictions.csv"),
    ];
    for (wanted, place) in places {
        assert_eq!(project.ok(&["restore", wanted]).stdout, format!("wrote {place}\n"));
        assert!(project.path(place).exists());
    }
    assert!(project.read("split.csv").starts_with("objectId,value,type\n"));
    let file = fs::read(project.path("features.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(tensors.tensor("features").unwrap().shape(), [400, 512]);
    for n in 0..5 {
        let again = format!("{n}.safetensors");
        project.ok(&["restore", "features", &again]);
        assert!(fs::read(project.path(&again)).unwrap() == file, "the same file each time");
    }
    assert!(project.path("head/head.safetensors").is_file());
    let twice = project.pipe(&["restore", "split"]);
    assert!(twice.code == 1 && twice.stderr.contains("split.csv is there already"), "{}", twice.stderr);
    project.ok(&["restore", "split", "tables/mine.csv"]);
    assert!(project.path("tables/mine.csv").is_file());
    assert_eq!(project.pipe(&["restore", "images"]).code, 1, "items that are not stored");
}

#[cfg(unix)]
#[test]
fn an_interrupt_stops_the_command_and_what_it_started() {
    let project = Project::with(
        "nodes: { long: { kind: shell, with: { command: 'sleep 300 & echo $! > \"$PWD/pid\"; wait' } } }",
    );
    let running = project.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while fs::read_to_string(project.path("pid")).unwrap_or_default().is_empty()
        && began.elapsed() < Duration::from_secs(30)
    {
        thread::sleep(Duration::from_millis(10));
    }
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let ran = Ran::from(running.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    let pid = project.read("pid");
    let alive = || Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success();
    let began = Instant::now();
    while alive() && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!alive(), "the command's child runs on");
}
