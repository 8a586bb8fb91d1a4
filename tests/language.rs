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

/// `pipe check` must refuse the files, with as many mistakes and these words.
#[track_caller]
fn refused(files: &[(&str, &str)], count: usize, words: &[&str]) {
    let project = Project::new();
    files.iter().for_each(|(name, text)| project.write(name, text));
    let ran = project.pipe(&["check", "--format", "json"]);
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let problems = found["problems"].as_array().unwrap();
    let all: String = problems.iter().map(|problem| format!("{}\n{}\n", problem["message"], problem["help"])).collect();
    assert_eq!(problems.len(), count, "{all}");
    assert!(words.iter().all(|word| all.contains(word)), "{all}");
    assert!(!all.contains("internal"), "{all}");
}

#[test]
fn what_may_not_vary_is_told() {
    let outer = "nodes: { p: { uses: s.yaml, matrix: { v: [shell, other] }, with: { v: '${matrix.v}' } } }";
    for inner in [
        "params: { v: 1 }\nnodes: { a: { kind: '${v}', with: { command: ls } } }",
        "params: { v: 1 }\nnodes: { b: { kind: dataset.synthetic }, a: { kind: split.hash, from: '${v}' } }",
        "params: { v: 1 }\nnodes: { a: { kind: shell, matrix: { x: '${v}' }, with: { command: ls } } }",
        "params: { v: 1 }\nnodes: { a: { uses: '${v}' } }",
        "params: { v: 1 }\nnodes: { a: { uses: stdlib/transfer, when: '${v}', with: { photos: . } } }",
    ] {
        refused(
            &[("pipe.yaml", outer), ("s.yaml", inner)],
            1,
            &["varies with a matrix", "used by `p` at pipe.yaml:1:10"],
        );
    }
    refused(
        &[(
            "pipe.yaml",
            "nodes: { a: { kind: shell, from: 'x${matrix.v}', matrix: { v: [1] }, with: { command: ls } } }",
        )],
        1,
        &["`from` cannot vary"],
    );
}

#[test]
fn a_mistake_is_told_once_and_where_it_is() {
    // What comes after it is not told of.
    let yaml = "
params: { lrs: 0.1 }
nodes:
  a: { kind: shell, matrix: { lr: '${lrs}' }, with: { command: 'echo ${matrix.lr}' } }
  b: { kind: shell, from: [a], with: { command: 'echo ${matrix.lr}' } }
  c: { kind: shell, from: { all: 'b[lr=*]' }, with: { command: ls } }
";
    refused(&[("pipe.yaml", yaml)], 1, &["the axis `lr` is the number 0.1"]);
    refused(
        &[("pipe.yaml", &yaml.replace("0.1", "['a,b']"))],
        1,
        &["a value of `lr` cannot stand in the name of a node"],
    );
    // Pipelines that use one another are found out at once, however they are named.
    let one = "outputs: { o: x }\nnodes: { x: { uses: d/two.yaml } }";
    let two = "outputs: { o: x }\nnodes: { x: { uses: ../d/../one.yaml } }";
    refused(
        &[("pipe.yaml", "nodes: { a: { uses: one.yaml } }"), ("one.yaml", one), ("d/two.yaml", two)],
        1,
        &["`one.yaml` uses itself"],
    );
    refused(
        &[("pipe.yaml", "nodes: { a: { uses: ./pipe.yaml }, b: { uses: pipe.yaml } }")],
        2,
        &["`pipe.yaml` uses itself"],
    );
    refused(
        &[("pipe.yaml", "nodes: { a: { kind: shell, with: { command: '${env:A:-${env:B}}' } } }")],
        1,
        &["a `${` inside another"],
    );
    refused(
        &[(
            "pipe.yaml",
            "params: { a: { type: text, choices: [x], min: 3 }, b: { type: int, default: 1, min: 5, max: 3 } }\nnodes: { a: { kind: dataset.synthetic } }",
        )],
        2,
        &["`min` belongs to params of type `int` and `float`", "`max` is less than `min`"],
    );
}

#[test]
fn growth_is_stopped_before_it_is_done() {
    let project = Project::new();
    for level in 0..15 {
        let uses: String = (0..10).map(|at| format!("n{at}: {{ uses: l{}.yaml }}, ", level + 1)).collect();
        project.write(&format!("l{level}.yaml"), format!("nodes: {{ {uses} }}"));
    }
    project.write("l15.yaml", "nodes: { a: { kind: shell, when: false, with: { command: ls } } }");
    let began = std::time::Instant::now();
    let ran = project.pipe(&["check", "l0.yaml"]);
    assert!(ran.code == 2 && ran.stderr.contains("more than 10000 nodes and sub-pipelines"), "{}", ran.stderr);
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn outputs_of_parts_go_where_they_are_wanted() {
    let project = Project::with(
        "
params: { on: true }
nodes:
  q: { uses: two.yaml, matrix: { c: [1, 2] }, with: { c: '${matrix.c}', on: '${on}' }, export: { a: 'out/${matrix.c}.txt', fixed: out/fixed.txt, maybe: out/maybe.txt } }
  r: { uses: two.yaml, matrix: { c: [1, 2] }, with: { c: '${matrix.c}' }, export: 'first/${matrix.c}.txt' }
",
    );
    project.write(
        "two.yaml",
        "
params: { c: 1, on: true }
outputs: { a: va, fixed: f, maybe: m }
nodes:
  va: { kind: shell, with: { command: 'echo ${c} > \"$out/x\"' } }
  f: { kind: shell, with: { command: 'echo fixed > \"$out/x\"' } }
  m: { kind: shell, when: '${on}', with: { command: 'echo maybe > \"$out/x\"' } }
",
    );
    project.ok(&["run"]);
    for (file, text) in [
        ("out/1.txt", "1"),
        ("out/2.txt", "2"),
        ("out/fixed.txt", "fixed"),
        ("out/maybe.txt", "maybe"),
        ("first/2.txt", "2"),
    ] {
        assert_eq!(project.read(file).trim(), text, "{file}");
    }
    project.ok(&["run", "--set", "on=false"]);
    project.ok(&["run"]);
    // On the command line they are called as in `from`.
    assert!(project.ok(&["show", "q.fixed"]).stdout.contains('x'));
    assert!(project.ok(&["show", "q[c=2]"]).stdout.contains('x'));
    let several = project.pipe(&["show", "q.a"]);
    assert!(several.code == 2 && several.stderr.contains("`q/va[c=1]`, `q/va[c=2]`"), "{}", several.stderr);
    assert_eq!(project.ok(&["restore", "q.a[c=2]", "restored.txt"]).stdout, "wrote restored.txt\n");
    assert_eq!(project.read("restored.txt"), "2\n");
    let none = project.pipe(&["show", "q.b"]);
    assert!(none.code == 2 && none.stderr.contains("`a`, `fixed`, `maybe`"), "{}", none.stderr);
    assert_eq!(project.pipe(&["check", "nothing"]).code, 2);
}

#[test]
fn a_part_can_be_switched_off() {
    let project = Project::with(
        "
params: { crop: true }
nodes:
  photos: { kind: dataset.synthetic, with: { count: 12, size: 16 } }
  crop: { uses: crop.yaml, from: photos, when: '${crop}' }
  split: { kind: split.hash, from: crop, with: { by: content } }
  other: { uses: stdlib/transfer, when: false, with: { photos: nowhere } }
",
    );
    project.write("crop.yaml", "inputs: { in: Records }\noutputs: { out: split }\nnodes: { split: { kind: split.hash, from: in, with: { by: content } } }");
    assert_eq!(names(&project, &[]), ["crop/split", "photos", "split"]);
    assert_eq!(names(&project, &["--set", "crop=false"]), ["photos", "split"]);
    project.ok(&["run", "--set", "crop=false"]);
}

#[test]
fn axes_of_one_name_stay_apart() {
    let project = Project::with(
        "
nodes:
  a: { kind: shell, matrix: { lr: [1, 2] }, with: { command: 'echo ${matrix.lr} > \"$out/x\"' } }
  t: { uses: t.yaml, from: a }
  one: { kind: shell, from: { in: 't[t/lr=7]' }, with: { command: 'cat \"$in\" > \"$out/x\"' } }
  both: { kind: shell, from: { all: { one: 'a[*]', two: 'one[*]' } }, with: { command: 'ls \"$all\" > \"$out/x\"' }, export: both.txt }
",
    );
    project.write(
        "t.yaml",
        "
inputs: { in: Files }
outputs: { out: h }
nodes:
  h: { kind: shell, from: { in: in }, matrix: { lr: [7, 8] }, with: { command: 'cat \"$in\" > \"$out/x\"; echo ${matrix.lr} >> \"$out/x\"' } }
  g: { kind: shell, from: { hs: 'h[*]' }, with: { command: 'ls \"$hs\" > \"$out/x\"' } }
  p: { kind: shell, from: { in: 'h[lr=8]' }, with: { command: 'cat \"$in\" > \"$out/x\"' }, keep: false }
",
    );
    let found = names(&project, &[]);
    // Inside, `lr` is the part's own, and `[*]` gathers no more than that.
    assert!(found.contains(&"t/p[lr=1]".to_owned()) && found.contains(&"t/g[lr=2]".to_owned()), "{found:?}");
    assert!(found.contains(&"t/h[lr=1,t/lr=7]".to_owned()) && found.contains(&"one[lr=2]".to_owned()), "{found:?}");
    project.ok(&["run"]);
    assert_eq!(project.read("both.txt"), "one,lr=1\none,lr=2\ntwo,lr=1\ntwo,lr=2\n");
}

#[test]
fn combinations_that_are_left_out_stay_out() {
    let project = Project::with(
        "
nodes:
  mid: { uses: mid.yaml, matrix: { a: [1, 2], b: [1, 2], exclude: [{ a: 1, b: 2 }] }, with: { p: '${matrix.a}', q: '${matrix.b}' } }
  all: { kind: shell, from: { x: 'mid[*]' }, with: { command: 'ls \"$x\" > \"$out/x\"' }, export: all.txt }
",
    );
    project.write(
        "mid.yaml",
        "
params: { p: 0, q: 0 }
outputs: { out: leaf }
nodes:
  first: { kind: shell, with: { command: 'echo ${q} > \"$out/x\"' } }
  leaf: { uses: leaf.yaml, from: first, with: { p: '${p}' } }
",
    );
    project.write(
        "leaf.yaml",
        "
params: { p: 0 }
inputs: { in: Files }
outputs: { out: it }
nodes: { it: { kind: shell, from: { in: in }, with: { command: 'echo ${p} > \"$out/x\"' } } }
",
    );
    project.ok(&["run"]);
    assert_eq!(project.read("all.txt"), "a=1,b=1\na=2,b=1\na=2,b=2\n");
    // Two params that vary together come to as many nodes as there are combinations.
    let include: String = (0..200).map(|at| format!("{{ x: {at}, y: {at} }}, ")).collect();
    let project = Project::with(&format!(
        "nodes: {{ d: {{ uses: d.yaml, matrix: {{ x: [0], y: [0], include: [{include}] }}, with: {{ x: '${{matrix.x}}', y: '${{matrix.y}}' }} }} }}"
    ));
    project
        .write("d.yaml", "params: { x: 0, y: 0 }\nnodes: { it: { kind: shell, with: { command: 'echo ${x} ${y}' } } }");
    assert_eq!(names(&project, &[]).len(), 200);
}
