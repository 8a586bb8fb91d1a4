//! Sub-pipelines, matrices, params and conditions, as the program shows them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::common::Project;

/// The keys of the nodes in a plan, by name; `null` where a node before it has yet to run.
fn planned(project: &Project, words: &[&str]) -> BTreeMap<String, Value> {
    let plan = project.pipe(&[&["plan", "--format", "json"], words].concat());
    assert!(plan.code < 2, "{}", plan.stderr);
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let nodes = plan["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (node["name"].as_str().unwrap().to_owned(), node.clone())).collect()
}

fn names(project: &Project, words: &[&str]) -> Vec<String> {
    planned(project, words).into_keys().collect()
}

#[test]
fn a_matrix_fans_out_and_shares_what_it_can() {
    let project = Project::with(
        "
nodes:
  start: { kind: shell, with: { command: 'echo start > \"$out/x\"' } }
  net:
    kind: shell
    from: { in: start }
    matrix: { model: [a, b] }
    with: { command: 'cat \"$in\" > \"$out/x\"; echo ${matrix.model} >> \"$out/x\"' }
  head:
    kind: shell
    from: { in: net }
    matrix: { lr: [0.1, 0.2, 0.3] }
    with: { command: 'cat \"$in\" > \"$out/x\"; echo ${matrix.lr} >> \"$out/x\"' }
  all:
    kind: shell
    from: { heads: 'head[*]' }
    with: { command: 'cat \"$heads\"/* > \"$out/x\"; ls \"$heads\" > \"$out/names\"' }
    export: all
  each:
    kind: shell
    from: { heads: 'head[lr=*]' }
    with: { command: 'ls \"$heads\" | wc -l > \"$out/x\"' }
",
    );
    let event = project.finished(&[]);
    assert_eq!(event["ran"], 1 + 2 + 6 + 1 + 2);
    assert_eq!(project.read("all/x").lines().count(), 6 * 3);
    let mut named: Vec<String> = project.read("all/names").lines().map(str::to_owned).collect();
    named.sort();
    assert_eq!(named[..2], ["model=a,lr=0.1", "model=a,lr=0.2"]);
    assert!(event["nodes"].get("head[model=b,lr=0.3]").is_some(), "{event}");
    assert!(event["nodes"].get("each[model=b]").is_some(), "{event}");
    // A fourth learning rate runs two heads, and what reads all of them.
    let yaml = project.read("pipe.yaml").replace("0.3]", "0.3, 0.4]");
    project.write("pipe.yaml", yaml);
    let event = project.finished(&[]);
    assert_eq!(event["ran"], 2 + 1 + 2, "{event}");
    // On the command line a name means all its values, or those that are picked.
    assert_eq!(
        names(&project, &["head[lr=0.1]"]),
        ["head[model=a,lr=0.1]", "head[model=b,lr=0.1]", "net[model=a]", "net[model=b]", "start"]
    );
    assert_eq!(names(&project, &["head"]).len(), 8 + 2 + 1);
    let several = project.pipe(&["show", "head"]);
    assert!(several.code == 2 && several.stderr.contains("8 nodes"), "{}", several.stderr);
    project.ok(&["show", "head[lr=0.1,model=b].files"]);
}

#[test]
fn combinations_are_left_out_and_added() {
    let project = Project::with(
        "
nodes:
  it:
    kind: shell
    matrix:
      size: [1, 2]
      net: { small: { width: 8, name: s }, large: { width: 64, name: l } }
      exclude: [{ size: 2, net: large }]
      include: [{ size: 9, net: small }]
    with: { command: 'echo ${matrix.size} ${matrix.net.width} ${matrix.net.name} > \"$out/x\"' }
    export: 'out/${matrix.size}-${matrix.net.name}'
",
    );
    assert_eq!(
        names(&project, &[]),
        ["it[size=1,net=large]", "it[size=1,net=small]", "it[size=2,net=small]", "it[size=9,net=small]"]
    );
    project.ok(&["run"]);
    assert_eq!(project.read("out/1-l"), "1 64 l\n");
    assert_eq!(project.read("out/9-s"), "9 8 s\n");
}

#[test]
fn a_sub_pipeline_is_put_in_where_it_is_used() {
    let project = Project::with(
        "
params: { times: 2 }
nodes:
  start: { kind: shell, with: { command: 'echo start > \"$out/x\"' } }
  one: { uses: parts/twice.yaml, from: start, with: { word: uno } }
  other: { uses: ./parts/twice.yaml, from: { text: one.both }, with: { word: due, times: '${times}' }, export: { both: other.txt } }
  end: { kind: shell, from: { in: other }, with: { command: 'cat \"$in\" > \"$out/x\"' }, export: end.txt }
",
    );
    project.write(
        "parts/twice.yaml",
        "
doc: Adds a word twice.
params:
  word: { type: text, help: What is added. }
  times: { type: int, default: 1, min: 1, max: 3 }
inputs: { text: Files }
outputs: { both: second, first: first }
nodes:
  first: { kind: shell, from: { in: text }, with: { command: 'cat \"$in\" > \"$out/x\"; echo ${word} >> \"$out/x\"' } }
  second: { kind: shell, from: { in: first }, with: { command: 'cat \"$in\" > \"$out/x\"; echo ${word} ${times} >> \"$out/x\"' } }
",
    );
    let event = project.finished(&[]);
    assert_eq!(event["ran"], 6, "{event}");
    assert_eq!(project.read("end.txt"), "start\nuno\nuno 1\ndue\ndue 2\n");
    assert_eq!(project.read("other.txt"), project.read("end.txt"));
    assert!(event["nodes"].get("other/second").is_some());
    assert_eq!(names(&project, &["one"]), ["one/first", "one/second", "start"]);
    assert_eq!(project.finished(&["--set", "times=3"])["ran"], 2);
    // Alone it has no inputs to run on, but can be checked.
    assert_eq!(project.ok(&["check", "parts/twice.yaml", "--set", "word=w"]).stdout, "twice: 2 nodes, no mistakes\n");
    let alone = project.pipe(&["run", "parts/twice.yaml", "--set", "word=w"]);
    assert!(alone.code == 2 && alone.stderr.contains("takes inputs"), "{}", alone.stderr);
}

#[test]
fn a_sub_pipeline_under_a_matrix_shares_what_does_not_vary() {
    let project = Project::with(
        "
nodes:
  train: { uses: train.yaml, matrix: { lr: [1, 2, 3] }, with: { lr: '${matrix.lr}' } }
  best: { kind: shell, from: { all: 'train[*]' }, with: { command: 'cat \"$all\"/* > \"$out/x\"' }, export: best.txt }
",
    );
    project.write(
        "train.yaml",
        "
params: { lr: 0, size: 32 }
outputs: { model: pick }
nodes:
  features: { kind: shell, with: { command: 'echo ${size} > \"$out/x\"' } }
  head: { kind: shell, from: { in: features }, matrix: { seed: [7, 8] }, with: { command: 'echo ${lr} ${matrix.seed} > \"$out/x\"' } }
  pick: { kind: shell, from: { heads: 'head[*]' }, with: { command: 'cat \"$heads\"/* | tail -1 > \"$out/x\"' } }
",
    );
    let event = project.finished(&[]);
    assert_eq!(event["ran"], 1 + 6 + 3 + 1, "{event}");
    assert!(
        event["nodes"].get("train/features").is_some() && event["nodes"].get("train/pick[lr=2]").is_some(),
        "{event}"
    );
    assert_eq!(project.read("best.txt"), "1 8\n2 8\n3 8\n");
}

#[test]
fn values_come_from_profiles_files_the_environment_and_settings() {
    let project = Project::with(
        "
params:
  epochs: { type: int, default: 10, min: 1, max: 100, help: How often. }
  name: { type: text, default: 1.10 }
  word: short
profiles:
  fast: { epochs: 1 }
  fancy: { word: fancy, epochs: 3 }
nodes:
  x: { kind: shell, with: { command: 'echo ${epochs} ${name} ${word} ${env:PIPE_TEST_WORD:-none} > \"$out/x\"' }, export: x.txt }
",
    );
    project.write("more.yaml", "word: file\nepochs: 7\n");
    let cases: [(&[&str], &str); 6] = [
        (&[], "10 1.10 short none"),
        (&["--profile", "fast"], "1 1.10 short none"),
        (&["--profile", "fast", "-p", "fancy"], "3 1.10 fancy none"),
        (&["--profile", "fancy", "--params", "more.yaml"], "7 1.10 file none"),
        (&["--params", "more.yaml", "--set", "word=last"], "7 1.10 last none"),
        (&["--set", "epochs=8", "--profile", "fast"], "8 1.10 short none"),
    ];
    for (words, expected) in cases {
        project.ok(&[&["run"], words].concat());
        assert_eq!(project.read("x.txt").trim(), expected, "{words:?}");
    }
    // The environment counts by value, and is listed.
    let ran = project.command(&["run"]).env("PIPE_TEST_WORD", "warm").output().unwrap();
    assert!(ran.status.success());
    assert_eq!(project.read("x.txt").trim(), "10 1.10 short warm");
    assert!(project.ok(&["show", "last"]).stdout.contains("PIPE_TEST_WORD = warm"));
    assert_eq!(project.finished(&[])["ran"], 0, "the default was run before");
    project.ok(&["run", "--profile", "fast"]);
    assert!(project.ok(&["status"]).stdout.contains("--profile fast"));
    let help = project.ok(&["run", "--help", "pipe.yaml"]).stdout;
    assert!(
        help.contains("epochs") && help.contains("How often.") && help.contains("1..=100") && help.contains("fancy"),
        "{help}"
    );
}

#[test]
fn a_node_can_be_switched_off() {
    let yaml = "
params: { crop: true, report: true }
nodes:
  photos: { kind: dataset.synthetic, with: { count: 12, size: 16 } }
  keep: { kind: split.hash, from: photos, when: '${crop}', with: { by: content, test: 0..=80, validation: 81..=160 } }
  images: { kind: preprocess.image, from: keep, with: { size: 32 }, keep: true }
  report: { kind: shell, from: { table: keep }, when: '${report}', with: { command: 'cp \"$table\" \"$out/t.csv\"' } }
  mail: { kind: shell, from: { t: report }, with: { command: 'wc -l < \"$t\" > \"$out/n\"' }, export: n.txt }
  both: { kind: shell, from: [report, images], when: '${report}', with: { command: 'ls > \"$out/x\"' } }
";
    let project = Project::with(yaml);
    project.ok(&["run"]);
    // Its input is handed through where the types allow that.
    let event = project.finished(&["--set", "crop=false"]);
    assert_eq!((&event["ok"], &event["nodes"]["images"]["items_reused"]), (&Value::Bool(true), &12.into()), "{event}");
    assert!(event["nodes"].get("keep").is_none());
    // Where they do not, its readers are blocked; the rest runs.
    let ran = project.pipe(&["run", "--set", "report=false"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("`mail` cannot run: it needs `report`, which is switched off"), "{}", ran.stderr);
    let plan = planned(&project, &["--set", "report=false"]);
    assert_eq!(plan["mail"]["status"], "blocked");
    assert_eq!(plan["images"]["status"], "cached");
    project.ok(&["run", "images", "--set", "report=false"]);
    let off = project.pipe(&["run", "report", "--set", "report=false"]);
    assert!(off.code == 2 && off.stderr.contains("switched off"), "{}", off.stderr);
}
