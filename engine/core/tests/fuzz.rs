//! Whatever text is given for a pipeline: the reader, the decoder and the planner neither panic, nor
//! hang, nor take more than their share of memory.

#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use pipe_core::{Artifact, Context, Failure, Inputs, Job, Kind, Kinds, Plan, Whole};
use pipe_lang::{Given, check};
use pipe_spec::{FilePath, FolderPath, Many, More, types};
use pipe_store::Store;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most that all of it may take, in bytes.
const MEMORY: u64 = 256 << 20;
/// The longest that one text may take, on a machine with other things to do: what hangs takes minutes.
const TIME: Duration = Duration::from_secs(1);

/// Params of every form.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Start {
    #[serde(default)]
    #[schemars(range(min = -5, max = 5))]
    int: i32,
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    float: Option<f64>,
    #[serde(default)]
    word: Option<Word>,
    #[serde(default)]
    list: Vec<Vec<String>>,
    #[serde(default)]
    map: BTreeMap<String, u8>,
    #[serde(default)]
    file: Option<FilePath>,
    #[serde(default)]
    folders: Vec<FolderPath>,
}

/// One of several forms.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Nothing more.
    Plain,
    /// With something in it.
    Inner { value: f64, flag: bool },
}

macro_rules! kind {
    ($name:ident, $word:expr, $inputs:ty, $ins:expr, $outputs:ty, $outs:expr) => {
        impl Kind for $name {
            const NAME: &'static str = $word;
            const VERSION: u32 = 1;
            type Inputs = $inputs;
            const INPUTS: &'static [&'static str] = &$ins;
            type Outputs = $outputs;
            const OUTPUTS: &'static [&'static str] = &$outs;
        }

        impl Whole for $name {
            fn run(&self, _: &Inputs<'_>, _: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
                Err(Failure::new("test", "never run"))
            }
        }
    };
}

/// No params.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Step {}
/// No params.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Two {}
/// No params.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Gather {}
/// No params.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Anything {}

kind!(Start, "start", (), [], types::Records, ["records"]);
kind!(Step, "step", types::Records, ["records"], types::Records, ["records"]);
kind!(Two, "two", (types::Records, types::Metrics), ["one", "other"], types::Metrics, ["metrics"]);
kind!(Gather, "gather", Many<types::Records>, ["all"], (types::Metrics, types::Files), ["metrics", "files"]);
kind!(Anything, "anything", More, [], types::Files, ["files"]);

fn kinds() -> Kinds {
    let mut kinds = Kinds::default();
    kinds.whole::<Start>().unwrap().whole::<Step>().unwrap().whole::<Two>().unwrap();
    kinds.whole::<Gather>().unwrap().whole::<Anything>().unwrap();
    kinds.pipeline("part", "params: { n: 1 }\ninputs: { in: Records }\noutputs: { out: a }\nnodes: { a: { kind: step, from: in, matrix: { m: [1, 2] } } }");
    kinds.pipeline("loop", "nodes: { a: { uses: loop } }");
    kinds.pipeline("deep", "nodes: { a: { uses: deep2 }, b: { uses: deep2 }, c: { uses: deep2 }, d: { uses: deep2 } }");
    kinds
        .pipeline("deep2", "nodes: { a: { uses: deep3 }, b: { uses: deep3 }, c: { uses: deep3 }, d: { uses: deep3 } }");
    kinds.pipeline(
        "deep3",
        "nodes: { a: { kind: start, matrix: { x: [1, 2, 3, 4, 5, 6, 7, 8, 9] } }, b: { kind: start } }",
    );
    kinds
}

/// Any text, with much of what means something.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-z${}:,\\[\\]&*!|>'\"# \n\t-]{0,8}",
        1 => any::<String>(),
        1 => Just("nodes:\n  a: { kind: start }\n".to_owned()),
        1 => Just("  b: { kind: step, from: a }\n".to_owned()),
        1 => Just("params: { x: ${y}, y: ${x} }\n".to_owned()),
        1 => Just("é: &a [*a, *a]\n".to_owned()),
        1 => Just("x: &b [1, 1, 1, 1, 1, 1, 1, 1]\ny: &c [*b, *b, *b, *b, *b, *b]\nz: [*c, *c, *c, *c]\n".to_owned()),
        1 => Just("- ".repeat(80)),
        1 => Just("[".repeat(70)),
    ];
    proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// A value of a key.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z]{1,3}",
        "-?[0-9]{1,3}",
        Just("true".to_owned()),
        Just("~".to_owned()),
        Just("\"${x}\"".to_owned()),
        Just("\"${x}${y}-${matrix.m}\"".to_owned()),
        Just("\"${matrix.m}\"".to_owned()),
        Just("\"${matrix.n.a}\"".to_owned()),
        Just("\"${env:HOME}${env:NO_SUCH:-d}\"".to_owned()),
        Just("\"a[*]\"".to_owned()),
        Just("\"b[m=1].records\"".to_owned()),
        Just("\"c[m=*,n=2]\"".to_owned()),
        Just("é".to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec(("[a-c]|m|n|type|default|include|exclude|int|list|map", inner), 0..4).prop_map(
                |entries| {
                    let entries: Vec<String> =
                        entries.into_iter().map(|(key, value)| format!("{key}: {value}")).collect();
                    format!("{{ {} }}", entries.join(", "))
                }
            ),
        ]
    })
}

/// A pipeline that is nearly right.
fn pipeline() -> impl Strategy<Value = String> {
    let kind = prop_oneof!["start|step|two|gather|anything|strat", Just("\"${x}\"".to_owned())];
    let what = prop_oneof![
        4 => kind.prop_map(|kind| format!("kind: {kind}")),
        1 => "part|loop|deep|none|missing.yaml".prop_map(|part| format!("uses: {part}")),
    ];
    let key = "from|with|matrix|when|keep|export|form";
    let node = ("[a-f]", what, proptest::collection::vec((key, value()), 0..4)).prop_map(|(name, what, keys)| {
        let keys: String = keys.into_iter().map(|(key, value)| format!(", {key}: {value}")).collect();
        format!("  {name}: {{ {what}{keys} }}\n")
    });
    let top = proptest::collection::vec(("params|profiles|inputs|outputs|doc|name", value()), 0..3);
    let params = proptest::collection::vec(("x|y|z", value()), 0..3);
    (top, params, proptest::collection::vec(node, 1..7)).prop_map(|(top, params, nodes)| {
        let top: String = top.into_iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        let params: String = params.into_iter().map(|(key, value)| format!("  {key}: {value}\n")).collect();
        format!("{top}params:\n{params}nodes:\n{}", nodes.concat())
    })
}

/// Reads, checks, plans and lays out a text.
fn take(text: &str, kinds: &Kinds, store: &Store) -> bool {
    let given = Given { settings: vec!["x=1".to_owned(), "y=[a".to_owned()], ..Given::default() };
    let began = Instant::now();
    let checked = check("pipe.yaml", text, Path::new("."), &Given::default(), kinds.language());
    let _ = check("pipe.yaml", text, Path::new("."), &given, kinds.language());
    if let Err(problems) = &checked {
        assert!(!problems.0.is_empty(), "refused without a word:\n{text}");
    }
    if let Ok(pipeline) = &checked {
        let context = Context { pipeline, kinds, store, file: "pipe.yaml", last: None, threads: 1, rehash: false };
        let _ = Plan::new(context, &[]);
        is_whole(pipeline, text);
    }
    let _ = pipe_lang::format("pipe.yaml", text);
    let _ = pipe_lang::outline(text);
    assert!(began.elapsed() < TIME, "it took {:?}:\n{text}", began.elapsed());
    checked.is_ok()
}

/// Every node of a checked pipeline has its params, and each of its inputs is connected.
fn is_whole(pipeline: &pipe_lang::Pipeline, text: &str) {
    for index in pipeline.graph.node_indices().filter(|_| pipeline.takes.is_empty()) {
        let node = &pipeline.graph[index];
        assert!(node.params.is_object(), "`{}` has no params:\n{text}", node.name);
        let inputs = pipeline.inputs(index);
        for port in node.kind.inputs.iter().filter(|_| node.blocked.is_none()) {
            let connected = inputs.iter().filter(|input| input.name.split('[').next() == Some(port.name)).count();
            assert!(
                connected == 1 || (port.many && connected > 0),
                "`{}` has {connected} of `{}`:\n{text}",
                node.name,
                port.name
            );
        }
    }
}

#[test]
fn no_text_breaks_reading_checking_or_planning() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    // An allocation beyond it ends the program.
    setrlimit(Resource::Data, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let kinds = kinds();
    let whole = std::cell::Cell::new(0_usize);
    let config = |cases| Config { cases, failure_persistence: None, ..Config::default() };
    let run = |text: String| {
        whole.set(whole.get() + usize::from(take(&text, &kinds, &store)));
        Ok(())
    };
    TestRunner::new(config(50_000)).run(&text(), run).unwrap();
    TestRunner::new(config(50_000)).run(&pipeline(), run).unwrap();
    assert!(whole.get() > 500, "only {} texts were pipelines", whole.get());
}

#[test]
fn what_would_grow_without_end_is_refused() {
    let (folder, kinds) = (tempfile::tempdir().unwrap(), kinds());
    let store = Store::open(folder.path()).unwrap();
    let doubled = |depth: usize, form: fn(&str) -> String| {
        let lines: String = (1..depth).map(|at| format!("  p{at}: {}\n", form(&format!("${{p{}}}", at - 1)))).collect();
        format!(
            "params:\n  p0: some text that is long enough\n{lines}nodes:\n  a: {{ kind: anything, with: {{ x: \"${{p{}}}\" }} }}\n",
            depth - 1
        )
    };
    let axes = |count: usize| {
        (0..count).map(|at| format!("x{at}: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]")).collect::<Vec<_>>().join(", ")
    };
    let chain: String = (1..60_000).map(|at| format!("  p{at}: \"${{p{}}}\"\n", at - 1)).collect();
    let nodes: String = (1..9_000).map(|at| format!("  n{at}: {{ kind: step, from: n{} }}\n", at - 1)).collect();
    let cases = [
        (doubled(60, |inner| format!("\"{inner}{inner}\"")), false),
        (doubled(60, |inner| format!("[\"{inner}\", \"{inner}\"]")), false),
        (doubled(60, |inner| format!("{{ a: \"{inner}\", b: \"{inner}\" }}")), false),
        (format!("nodes:\n  a: {{ kind: start, matrix: {{ {} }} }}\n", axes(9)), false),
        (
            format!(
                "nodes:\n  a: {{ kind: start, matrix: {{ {} }} }}\n  b: {{ kind: start, matrix: {{ y: [1, 2, 3] }} }}\n  c: {{ kind: anything, from: [a, b] }}\n",
                axes(4)
            ),
            false,
        ),
        (format!("params:\n  p0: 1\n{chain}nodes:\n  a: {{ kind: start }}\n"), false),
        ("nodes: { a: { uses: loop } }".to_owned(), false),
        ("nodes: { a: { uses: deep }, b: { uses: deep } }".to_owned(), true),
        (format!("nodes:\n  n0: {{ kind: start }}\n{nodes}"), true),
    ];
    for (text, fits) in cases {
        let began = Instant::now();
        assert_eq!(take_slowly(&text, &kinds, &store), fits, "{}", text.chars().take(300).collect::<String>());
        assert!(began.elapsed() < 10 * TIME, "{:?}: {}", began.elapsed(), text.chars().take(300).collect::<String>());
    }
}

/// As [`take`], for texts as large as may be.
fn take_slowly(text: &str, kinds: &Kinds, store: &Store) -> bool {
    let checked = check("pipe.yaml", text, Path::new("."), &Given::default(), kinds.language());
    if let Ok(pipeline) = &checked {
        let context = Context { pipeline, kinds, store, file: "pipe.yaml", last: None, threads: 1, rehash: false };
        Plan::new(context, &[]).unwrap();
    }
    checked.is_ok()
}
