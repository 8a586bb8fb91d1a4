//! Commands around a pipeline's file: pictures, layout, plain nodes, completion, manuals, watching.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::common::Project;
use crate::errors::{blocks, page, shell};

const SWEEP: &str = "
# What is tried.
params: { ns: [1, 2] }
nodes:
  start: { kind: shell, with: { command: 'echo 1 > \"$out/n\"' } }
  it:
    kind: shell
    from: start
    matrix: { n: \"${ns}\" }
    with: { command: 'cat \"$start\" > \"$out/n\"; echo \"${matrix.n} <&>\" >> \"$out/n\"' }
  part: { uses: part.yaml, from: { table: 'it[n=1]' } }
  end: { kind: shell, from: { its: 'it[*]', part: part }, with: { command: 'cat \"$its\"/* \"$part\" > \"$out/n\"' } }
";

const PART: &str = "
inputs: { table: Files }
outputs: { n: count }
nodes:
  count: { kind: shell, from: table, with: { command: 'wc -l < \"$table\" > \"$out/n\"; echo $${HOME} > /dev/null' } }
";

fn sweep() -> Project {
    let project = Project::with(SWEEP);
    project.write("part.yaml", PART);
    project
}

fn keys(project: &Project, words: &[&str]) -> Vec<Value> {
    let plan = project.ok(&[&["plan", "--format", "json"], words].concat()).stdout;
    let plan: Value = serde_json::from_str(&plan).unwrap();
    plan["nodes"].as_array().unwrap().iter().map(|node| node["key"].clone()).collect()
}

#[test]
fn a_pipeline_as_plain_nodes_has_the_same_keys() {
    let project = sweep();
    project.ok(&["run"]);
    let plain = project.ok(&["expand"]).stdout;
    assert!(!plain.contains("matrix") && !plain.contains("uses") && plain.contains("# it[n=2]"), "{plain}");
    project.write("plain.yaml", &plain);
    assert_eq!(keys(&project, &[]), keys(&project, &["plain.yaml"]));
    assert_eq!(project.finished(&["plain.yaml"])["ran"], 0, "{plain}");
    // What is plain already stays as it is.
    assert_eq!(
        project.ok(&["expand", "plain.yaml"]).stdout.replace("name: plain", "name: pipe"),
        without_comments(&plain)
    );
}

fn without_comments(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn pictures_show_what_is_known_of_each_node() {
    let project = sweep();
    project.ok(&["run", "it"]);
    for (format, expected) in [
        ("mermaid", ["flowchart LR", ":::cached", ":::run", "-->|Files|"]),
        ("dot", ["digraph", "\"it[n=2]\"", "#dafbe1", "label=\"Files\""]),
        ("svg", ["<svg", "class=\"node cached\"", "part/count", "marker-end"]),
        ("html", ["<!doctype html>", "it[n=2]", "class=\"node run\"", "addEventListener"]),
    ] {
        let text = project.ok(&["graph", "--format", format]).stdout;
        assert!(expected.iter().all(|part| text.contains(part)), "{format}\n{text}");
        assert!(!text.contains("{{") && !text.contains("http://") || format == "svg", "{format}");
    }
    // The ending of the file says what it is; what is switched off is told apart.
    project.ok(&["graph", "-o", "g.svg"]);
    assert!(project.read("g.svg").starts_with("<svg"));
    project.write("pipe.yaml", SWEEP.replace("part: { uses: part.yaml,", "part: { uses: part.yaml, when: false,"));
    let off = project.pipe(&["graph", "--format", "mermaid"]).stdout;
    assert!(off.contains(":::off") && off.contains(":::blocked") == off.contains("classDef blocked"), "{off}");
}

#[test]
fn a_file_is_laid_out_and_keeps_its_comments() {
    let messy = "
# On top.


name:   messy   # behind
params: {a:  1,b:   [1,2,  3]}
nodes:
    # before one
    one:
        kind: shell   # its kind
        with:
            command: |
                echo 1 # no comment
                  deeper

                echo 2
        # behind with
    two: {kind: shell, from: one, with: {command: 'echo  \"two  spaces\" > \"$out/x\" && echo this line is too long to stay on one', inputs: []}}
    # at the end of nodes
    list:
        kind: shell
        from:
        - one

        # the second
        - two
        with: {command: ls}
# at the end
";
    let expected = "# On top.

name: messy   # behind
params: { a: 1, b: [1, 2, 3] }
nodes:
  # before one
  one:
    kind: shell   # its kind
    with:
      command: |
        echo 1 # no comment
          deeper

        echo 2
    # behind with
  two:
    kind: shell
    from: one
    with:
      command: 'echo  \"two  spaces\" > \"$out/x\" && echo this line is too long to stay on one'
      inputs: []
  # at the end of nodes
  list:
    kind: shell
    from:
      - one

      # the second
      - two
    with: { command: ls }
# at the end
";
    let project = Project::with(messy);
    let check = project.pipe(&["fmt", "--check"]);
    assert_eq!((check.code, check.stdout.as_str()), (1, "pipe.yaml is not formatted\n"));
    assert_eq!(project.read("pipe.yaml"), messy, "--check changes nothing");
    project.ok(&["fmt"]);
    assert_eq!(project.read("pipe.yaml"), expected);
    project.ok(&["fmt", "--check"]);
    // What cannot be laid out safely is left alone.
    for odd in ["a: &x 1\nb: *x\n", "a: !tag 1\n"] {
        project.write("odd.yaml", odd);
        assert_eq!(project.pipe(&["fmt", "odd.yaml"]).code, 2, "{odd}");
        assert_eq!(project.read("odd.yaml"), odd);
    }
    assert_eq!(project.pipe(&["fmt", "nothing.yaml"]).code, 2);
}

#[test]
fn whatever_is_laid_out_says_the_same() {
    // Every example of the docs, moved about.
    for name in ["docs/language.md", "docs/errors.md", "README.md"] {
        for block in blocks(&page(name)).into_iter().filter(|block| block.info.starts_with("yaml")) {
            let spread =
                block.text.replace("{ ", "{    ").replace(": ", ":   ").replace("\n  ", "\n    # a comment\n    ");
            for text in [block.text.clone(), spread] {
                let Ok(before) = serde_yaml::from_str::<Value>(&text) else { continue };
                let Ok(formatted) = pipe_lang::format("x.yaml", &text) else { continue };
                assert_eq!(serde_yaml::from_str::<Value>(&formatted).unwrap(), before, "{text}\n{formatted}");
                assert_eq!(pipe_lang::format("x.yaml", &formatted).unwrap(), formatted, "laid out twice");
                assert_eq!(formatted.matches("# a comment").count(), text.matches("# a comment").count());
            }
        }
    }
}

#[test]
fn a_shell_completes_nodes_kinds_params_and_profiles() {
    let project = Project::with(&format!("profiles: {{ quick: {{ ns: [1] }} }}\n{SWEEP}"));
    project.write("part.yaml", PART);
    let complete = |words: &[&str]| {
        let mut command = project.command(&[&["--", "pipe"], words].concat());
        command.env("COMPLETE", "fish");
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let cases: [(&[&str], &str); 6] = [
        (&["ru"], "run"),
        (&["run", "it"], "it[n=2]"),
        (&["run", "--set", "n"], "ns="),
        (&["run", "--profile", ""], "quick"),
        (&["nodes", "split"], "split.hash"),
        (&["graph", "--format", "h"], "html"),
    ];
    for (words, expected) in cases {
        let shown = complete(words);
        assert!(shown.contains(expected), "{words:?}: {shown}");
    }
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(project.ok(&["completions", shell]).stdout.contains("COMPLETE"), "{shell}");
    }
}

#[test]
fn man_pages_are_written() {
    let project = Project::new();
    assert!(project.ok(&["man"]).stdout.contains(".TH pipe 1"));
    project.ok(&["man", "pages"]);
    for page in ["pipe.1", "pipe-run.1", "pipe-graph.1", "pipe-store-verify.1"] {
        assert!(project.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn a_watched_pipeline_runs_again_when_something_that_matters_changes() {
    let project = Project::with(
        "nodes: { it: { kind: shell, with: { command: 'cat words.txt > \"$out/x\"', inputs: [words.txt] }, export: out.txt } }",
    );
    project.write("words.txt", "one\n");
    let mut running = project
        .command(&["run", "--watch", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (send, receive) = channel();
    let lines = BufReader::new(running.stdout.take().unwrap()).lines();
    thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(send.send(line))));
    let finished = || loop {
        let line = receive.recv_timeout(Duration::from_secs(30)).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["event"] == "finished" {
            return event;
        }
    };
    assert_eq!(finished()["ran"], 1);
    // What no node reads does not matter.
    project.write("other.txt", "nothing\n");
    project.write("words.txt", "one\ntwo\n");
    assert_eq!(finished()["ran"], 1);
    assert_eq!(project.read("out.txt"), "one\ntwo\n");
    // A mistake is told and waited out.
    let yaml = project.read("pipe.yaml");
    project.write("pipe.yaml", "nodes: [");
    thread::sleep(Duration::from_millis(800));
    project.write("pipe.yaml", yaml.replace("cat words.txt", "cat words.txt words.txt"));
    assert_eq!(finished()["ran"], 1);
    assert_eq!(project.read("out.txt").lines().count(), 4);
    fs::remove_file(project.path("other.txt")).unwrap();
    let pid = running.id().to_string();
    assert_eq!(shell(&project, &format!("kill -INT {pid}")).code, 0);
    assert_eq!(running.wait().unwrap().code(), Some(130));
}

/// The place of a node and an output of it, by the name of the input.
type Inputs = BTreeMap<String, (usize, &'static str)>;

/// Of every node: its kind, its params, and its inputs with the places of the nodes that they come from.
fn shape(pipeline: &pipe::Pipeline) -> Vec<(String, Value, Inputs)> {
    let of = |index| {
        let node = &pipeline.graph[index];
        let inputs = pipeline.inputs(index).into_iter();
        let inputs = inputs.map(|input| (input.name.to_string(), (input.from.index(), input.output.name))).collect();
        (node.kind.name.to_owned(), node.params.clone(), inputs)
    };
    pipeline.graph.node_indices().map(of).collect()
}

/// Everything that a key is made of survives the way through the builder and back.
fn assert_same_when_built(pipeline: &pipe::Pipeline, kinds: &pipe::Kinds) {
    let builder = pipe::Builder::of(pipeline);
    let built = builder.check(kinds).unwrap_or_else(|problems| panic!("{problems}\n{}", builder.to_yaml(kinds)));
    assert_eq!(shape(pipeline), shape(&built), "{}", builder.to_yaml(kinds));
}

#[test]
fn pipelines_keep_their_keys_through_the_builder() {
    let kinds = pipe::kinds();
    let given = |settings: &[&str]| pipe_lang::Given {
        settings: settings.iter().map(|&setting| setting.to_owned()).collect(),
        ..pipe_lang::Given::default()
    };
    let project = Project::new();
    project.write("data/dev-containers/label.csv", "objectId,value\na,0\n");
    project.write("data/dev-containers/objects/x", "");
    project.write("data/label.csv", "objectId,value\na,0\n");
    project.write("data/objects/x", "");
    project.write("weights/efficientnet_b0.safetensors", "");
    project.write("photos/a/x.jpg", "");
    project.write("histogram.py", "");
    for name in ["mobilenet_v2_imagenet_features", "squeezenet1_1_imagenet"] {
        project.write(&format!("data/weights/{name}.safetensors"), "");
    }
    let mut seen = 0;
    for entry in fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            let pipeline = pipe_lang::check("x.yaml", &text, &project.path(""), &given(&[]), kinds.language());
            assert_same_when_built(
                &pipeline.unwrap_or_else(|problems| panic!("{}: {problems}", path.display())),
                &kinds,
            );
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn generated_pipelines_keep_their_keys_through_the_builder() {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};
    let kinds = pipe::kinds();
    let text = "[a-z${}'\"\\\\ #:,\\[\\]&*!|>\n%@`-]{1,12}";
    let node = (0..5usize, any::<prop::sample::Index>(), any::<prop::sample::Index>(), text, 1..5u32, any::<bool>());
    let nodes = proptest::collection::vec(node, 1..8);
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    runner
        .run(&nodes, |nodes| {
            let mut yaml = "nodes:\n  n0: { kind: dataset.synthetic, with: { count: 9 } }\n".to_owned();
            for (at, (kind, one, other, text, number, flag)) in nodes.iter().enumerate() {
                let (one, other) = (one.index(at + 1), other.index(at + 1));
                let command = Value::from(text.replace("${", "$${").trim().to_owned() + "x");
                let matrix = if *flag { format!(", matrix: {{ m{at}: [1, {}] }}", number + 1) } else { String::new() };
                let value = if *flag { format!("${{matrix.m{at}}}") } else { number.to_string() };
                yaml.push_str(&match kind {
                    0 => format!("  n{}: {{ kind: dataset.synthetic, with: {{ seed: \"{value}\" }}{matrix} }}\n", at + 1).replace(&format!("\"{number}\""), &number.to_string()),
                    1 => format!("  n{}: {{ kind: shell, from: {{ a: \"n{one}\", b: \"n{other}[*]\" }}, with: {{ command: {command}, env: {{ V: \"{value}\" }} }}{matrix} }}\n", at + 1),
                    2 => format!("  n{}: {{ kind: shell, from: [n{one}], with: {{ command: {command}, retries: {number} }}, keep: {flag} }}\n", at + 1),
                    3 => format!("  n{}: {{ kind: shell, from: {{ all: [n{one}, \"n{other}[*]\"] }}, with: {{ command: {command}, timeout: 0.5 }} }}\n", at + 1),
                    _ => format!("  n{}: {{ kind: shell, when: {flag}, with: {{ command: {command}, outputs: [{command}] }} }}\n", at + 1),
                });
            }
            let given = pipe_lang::Given::default();
            // Two inputs may happen to be called the same, a name be refused: those are other tests' matter. So
            // is what cannot run, which is left out when it is built.
            if let Ok(pipeline) = pipe_lang::check("x.yaml", &yaml, std::path::Path::new("."), &given, kinds.language())
                && pipeline.graph.node_weights().all(|node| node.blocked.is_none())
            {
                assert_same_when_built(&pipeline, &kinds);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_pipeline_in_rust_finds_what_its_yaml_computed() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_pipe")).parent().unwrap().join("examples/containers");
    if !program.is_file() {
        // Only a run of all tests builds the examples.
        eprintln!("SKIPPED: {} is not built", program.display());
        return;
    }
    let Some(data) = crate::common::real_data() else { return };
    let project = Project::with(&page("pipelines/containers.yaml"));
    let set = format!("data={}", data.display());
    let yaml = keys(&project, &["--set", &set]);
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.args(words).current_dir(project.path("")).env("PIPE_DATA", &data).env_remove("PIPE_STORE");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let plan: Value = serde_json::from_str(&run(&["plan", "--format", "json"])).unwrap();
    let built: Vec<Value> = plan["nodes"].as_array().unwrap().iter().map(|node| node["key"].clone()).collect();
    assert_eq!(built, yaml);
    assert!(built[0].is_string());
    assert!(run(&["expand"]).contains("kind: split.hash"));
    run(&["run", "split"]);
    assert!(run(&["why", "split"]).contains("split is cached"));
    assert!(run(&["show", "split"]).contains("objectId"));
}

#[test]
fn a_kind_of_ones_own_is_like_the_others() {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_pipe")).parent().unwrap().join("examples/own_kind");
    if !program.is_file() {
        eprintln!("SKIPPED: {} is not built", program.display());
        return;
    }
    assert!(page("pipelines/own_kind.rs").lines().count() < 80);
    let project = Project::with(
        "nodes: { photos: { kind: dataset.synthetic, with: { count: 12, size: 16, classes: 3 } }, two: { kind: filter.class, from: photos, with: { keep: [disc, square] }, export: two.csv } }",
    );
    let run = |words: &[&str]| {
        let mut command = std::process::Command::new(&program);
        crate::common::Ran::from(
            command
                .args(words)
                .current_dir(project.path(""))
                .env_remove("PIPE_STORE")
                .env("NO_COLOR", "1")
                .output()
                .unwrap(),
        )
    };
    let classes = run(&["run"]);
    if classes.code != 0 {
        // The classes are told, so that one can mend it.
        assert!(
            classes.stderr.contains("no row is a `disc`") && classes.stderr.contains("the classes are"),
            "{}",
            classes.stderr
        );
        project.write("pipe.yaml", project.read("pipe.yaml").replace("[disc, square]", "['0', '1']"));
        assert_eq!(run(&["run"]).code, 0);
    }
    assert_eq!(project.read("two.csv").lines().count(), 9);
    assert!(run(&["run"]).stderr.contains("everything was reused"));
    assert!(run(&["nodes", "filter.class"]).stdout.contains("The classes that are kept."));
    assert!(run(&["schema"]).stdout.contains("filter.class"));
    assert!(run(&["check", "--set", "x=1"]).stderr.contains("no param `x`"));
    assert!(project.pipe(&["check"]).stderr.contains("there is no kind `filter.class`"));
}
