//! Commands that are given items, and what `shell` does besides running one.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Project;

/// A pipeline over photos in a folder per class, and a Python script.
fn python(function: &str, kind: &str, more: &str) -> Option<Project> {
    if !Command::new("python3").arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        eprintln!("SKIPPED: there is no python3");
        return None;
    }
    let project = Project::with(&format!(
        "
nodes:
  photos: {{ kind: dataset.folder, with: {{ path: photos }} }}
  it:
    kind: {kind}
    from: photos
    with: {{ command: python3 code.py, code: [code.py], workers: 2, batch_size: 4{more} }}
    export: out
"
    ));
    project.write("code.py", format!("from pipe_map import serve\nimport os, sys, time\n\n{function}"));
    for number in 0..20 {
        project.write(&format!("photos/{}/{number:02}.png", number % 2), png(number));
    }
    Some(project)
}

fn png(number: u8) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let photo = image::RgbImage::from_pixel(8 + u32::from(number), 8, image::Rgb([number, 9, 9]));
    photo.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Every call adds a line to `calls`.
const SIZE: &str = "
def size(path):
    open('calls', 'a').write(os.path.basename(path) + '\\n')
    print('looking at', path)
    return {'bytes': os.path.getsize(path)}
serve(size)
";

fn calls(project: &Project) -> usize {
    fs::read_to_string(project.path("calls")).unwrap_or_default().lines().count()
}

#[test]
fn a_python_function_is_cached_photo_by_photo() {
    let Some(project) = python(SIZE, "process.map", "") else { return };
    let event = project.finished(&[]);
    assert_eq!(event["nodes"]["it"]["items_computed"], 20, "{event}");
    assert_eq!(calls(&project), 20);
    let lines: Vec<Value> = project.read("out").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 20);
    assert_eq!(lines[3]["result"]["bytes"], fs::metadata(project.path("photos/0/06.png")).unwrap().len());
    assert!(project.ok(&["show", "it", "--log"]).stdout.contains("looking at"));
    assert_eq!(project.finished(&[])["ran"], 0);
    // One photo more calls it once; how the work is done decides nothing.
    project.write("photos/1/more.png", png(77));
    let yaml = project.read("pipe.yaml").replace("batch_size: 4", "batch_size: 3");
    project.write("pipe.yaml", yaml);
    assert_eq!(project.finished(&[])["nodes"]["it"]["items_computed"], 1);
    assert_eq!(calls(&project), 21);
    // Other code calls it for every photo.
    project.write("code.py", project.read("code.py").replace("'bytes'", "'size'"));
    assert_eq!(project.finished(&[])["nodes"]["it"]["items_computed"], 21);
}

#[test]
fn an_exception_names_the_photo() {
    let function = "
def size(path):
    open('calls', 'a').write('x\\n')
    if path.endswith('07.png'):
        raise ValueError('seven is odd')
    return 1
serve(size)
";
    let Some(project) = python(function, "process.map", ", retries: 2") else { return };
    let ran = project.pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("1 of 20 items could not be computed"), "{}", ran.stderr);
    assert!(ran.stderr.contains("1/07.png: ValueError: seven is odd"), "{}", ran.stderr);
    assert_eq!(calls(&project), 19 + 3, "it was tried three times");
    assert!(project.ok(&["show", "it", "--log"]).stdout.contains("Traceback"));
    // The other photos are done.
    let yaml = project.read("pipe.yaml").replace("retries: 2", "retries: 0, on_error: skip");
    project.write("pipe.yaml", yaml);
    let event = project.finished(&[]);
    assert_eq!(
        (&event["nodes"]["it"]["items_reused"], &event["nodes"]["it"]["items_skipped"]),
        (&19.into(), &1.into())
    );
}

#[test]
fn a_worker_that_dies_loses_its_batch_at_most() {
    let function = "
def sizes(paths):
    open('calls', 'a').write('x\\n' * len(paths))
    if any(path.endswith('11.png') for path in paths) and not os.path.exists('calm'):
        os.kill(os.getpid(), 9)
    return [len(path) * 0 + 1 for path in paths]
serve(sizes, batch=True)
";
    let Some(project) = python(function, "process.map", ", retries: 0") else { return };
    let ran = project.pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("1/11.png") && ran.stderr.contains("ended with exit status: 137"), "{}", ran.stderr);
    project.write("calm", "");
    let event = project.finished(&[]);
    let computed = event["nodes"]["it"]["items_computed"].as_u64().unwrap();
    assert!((1..=4).contains(&computed), "{event}");
    // Tried again alone, only the one that kills it is lost.
    fs::remove_file(project.path("calm")).unwrap();
    fs::remove_dir_all(project.path(".pipe")).unwrap();
    let yaml = project.read("pipe.yaml").replace("retries: 0", "retries: 1, on_error: skip");
    project.write("pipe.yaml", yaml);
    fs::remove_file(project.path("out")).unwrap();
    let event = project.finished(&[]);
    assert_eq!((&event["ok"], &event["nodes"]["it"]["items_skipped"]), (&true.into(), &1.into()), "{event}");
}

#[test]
fn a_command_that_cannot_work_is_told_at_once() {
    let Some(project) = python("import no_such_module\n", "process.map", "") else { return };
    let ran = project.pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("20 of 20 items could not be computed"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("all of them: the command ended with exit status: 1: ModuleNotFoundError"),
        "{}",
        ran.stderr
    );
    let log = project.ok(&["show", "it", "--log"]).stdout;
    assert!(log.matches("Traceback").count() < 10, "it was started for every photo");
    let cases = [
        ("print('hello'); sys.stdin.read()", "retries: 0", "`hello`, which is no answer"),
        ("time.sleep(60)", "retries: 0, timeout: 0.3", "did not answer within 0.3 s"),
    ];
    let yaml = project.read("pipe.yaml");
    for (code, params, expected) in cases {
        project.write("code.py", format!("import sys, time\n{code}\n"));
        project.write("pipe.yaml", yaml.replace("workers", &format!("{params}, workers")));
        let ran = project.pipe(&["run"]);
        assert!(ran.code == 1 && ran.stderr.contains(expected), "{}", ran.stderr);
    }
}

#[test]
fn features_and_images_flow_on() {
    let function = "
def half(path):
    data = open(path, 'rb').read()
    return [float(len(data)), float(data[40]), 1.0]
serve(half)
";
    let Some(project) = python(function, "process.features", "") else { return };
    let yaml = project
        .read("pipe.yaml")
        .replace("export: out", "export: out.safetensors")
        .replace("from: photos", "from: split")
        + "
  split: { kind: split.hash, from: photos, with: { by: content, test: 0..=80, validation: 81..=120 } }
  head: { kind: train.head, from: it, with: { epochs: 2 } }
  eval: { kind: eval.classifier, from: { model: head, data: it } }
";
    project.write("pipe.yaml", yaml);
    project.ok(&["run"]);
    let file = fs::read(project.path("out.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    assert_eq!(tensors.tensor("features").unwrap().shape(), [20, 3]);
    // A vector of another length is a mistake in the data.
    project
        .write("code.py", project.read("code.py").replace("float(data[40]), 1.0]", "1.0] if '07' in path else [1.0]"));
    let ran = project.pipe(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("different numbers of features"), "{}", ran.stderr);
    // A PNG of 1 x 1 pixels that the function writes itself.
    let function = "
import zlib, struct
def dot(path):
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    out = os.path.join(os.environ['out'], os.path.basename(path))
    open(out, 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 2, 0, 0, 0))
        + chunk(b'IDAT', zlib.compress(b'\\0\\x01\\x02\\x03')) + chunk(b'IEND', b''))
    return out
serve(dot)
";
    let Some(project) = python(function, "process.images", "") else { return };
    project.ok(&["run"]);
    let written = image::open(project.path("out/1/07.png")).unwrap().to_rgb8();
    assert_eq!((written.dimensions(), written.get_pixel(0, 0).0), ((1, 1), [1, 2, 3]));
}

#[test]
fn a_command_has_an_environment_a_folder_a_time_and_further_tries() {
    let project = Project::with(
        "
nodes:
  env: { kind: shell, with: { command: 'echo $WORD $PWD > \"$out/x\"', env: { WORD: hello }, cwd: inner }, export: env.txt }
  again: { kind: shell, with: { command: 'echo try; ls \"$out\"; touch \"$out/left\"; test -e ../gone || { test -e there || { touch there; exit 1; }; }; echo ok > \"$out/x\"', retries: 1, outputs: [x] } }
",
    );
    project.write("inner/a", "");
    project.ok(&["run"]);
    let line = project.read("env.txt");
    assert!(line.starts_with("hello ") && line.trim_end().ends_with("inner"), "{line}");
    assert_eq!(project.ok(&["show", "again", "--log"]).stdout, "try\ntry\n", "each try has a new folder");
    // How long and how often is no part of the key; the environment is.
    let yaml = project.read("pipe.yaml").replace("retries: 1", "retries: 3, timeout: 60");
    project.write("pipe.yaml", &yaml);
    assert_eq!(project.finished(&[])["ran"], 0);
    project.write("pipe.yaml", yaml.replace("hello", "goodbye"));
    assert_eq!(project.finished(&[])["ran"], 1);
    let project =
        Project::with("nodes: { slow: { kind: shell, with: { command: 'echo begun; sleep 100', timeout: 0.2 } } }");
    let began = Instant::now();
    let ran = project.pipe(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("took longer than 0.2 s"), "{}", ran.stderr);
    assert!(ran.stderr.contains("begun") && began.elapsed() < Duration::from_secs(60), "{}", ran.stderr);
    assert_eq!(project.ok(&["show", "slow", "--log"]).stdout, "begun\n", "the log of a failure is kept");
}

#[cfg(unix)]
#[test]
fn a_command_ends_with_the_program_that_is_killed() {
    let project =
        Project::with("nodes: { long: { kind: shell, with: { command: 'sleep 300 & echo $! > pid; wait' } } }");
    let mut running = project.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let within = |what: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !what() && began.elapsed() < Duration::from_secs(30) {
            thread::sleep(Duration::from_millis(10));
        }
        what()
    };
    let pid = || fs::read_to_string(project.path("pid")).unwrap_or_default().trim().to_owned();
    assert!(within(&|| !pid().is_empty()));
    running.kill().unwrap();
    running.wait().unwrap();
    let alive = || Command::new("kill").args(["-0", &pid()]).stderr(Stdio::null()).status().unwrap().success();
    assert!(within(&|| !alive()), "the command outlives the program");
}
