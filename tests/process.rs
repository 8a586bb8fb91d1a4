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
    let width = "def width(path):\n    return open(path, 'rb').read()[19]\n";
    project.write("code.py", format!("from pipe_map import serve\nimport os, sys, time\n\n{width}{function}"));
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
    open('calls', 'a').write('x\\n')
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
    if width(path) == 8 + 7:
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
    if any(width(path) == 8 + 11 for path in paths) and not os.path.exists('calm'):
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
        ("print('hello'); sys.stdin.read()", "retries: 0", "`hello`, which is not JSON"),
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
    // Every vector has as many numbers as the others.
    let longer = project.read("code.py").replace("1.0]", "1.0] + ([2.0] if width(path) == 15 else [])");
    project.write("code.py", longer);
    let ran = project.pipe(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("numbers here, and"), "{}", ran.stderr);
    // A PNG of 1 x 1 pixels that the function writes itself.
    let function = "
import zlib, struct
def dot(path):
    chunk = lambda kind, data: struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
    out = os.path.join(os.environ['out'], str(width(path)) + '.png')
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
    // The program has to tell its guard of the command before it is killed.
    thread::sleep(Duration::from_millis(200));
    running.kill().unwrap();
    running.wait().unwrap();
    let alive = || Command::new("kill").args(["-0", &pid()]).stderr(Stdio::null()).status().unwrap().success();
    assert!(within(&|| !alive()), "the command outlives the program");
}

#[test]
fn what_comes_of_a_photo_depends_on_its_bytes_alone() {
    let Some(project) = python(SIZE, "process.map", "") else { return };
    project.write("photos/1/copy.png", png(0));
    let event = project.finished(&[]);
    assert_eq!(event["nodes"]["it"]["items_computed"], 20, "equal photos are one");
    fs::rename(project.path("photos/0/02.png"), project.path("photos/1/other name.png")).unwrap();
    let event = project.finished(&[]);
    assert_eq!((&event["ok"], &event["nodes"]["it"]["items_computed"]), (&true.into(), &0.into()), "{event}");
    // Nothing that is told of it says what it is called or where it lies.
    project.write(
        "code.py",
        project.read("code.py").replace("{'bytes': os.path.getsize(path)}", "os.path.basename(path)"),
    );
    project.ok(&["run"]);
    assert!(
        !project.read("out").contains("\"result\":\"copy") && !project.read("out").contains("name.png\"}"),
        "{}",
        project.read("out")
    );
}

#[test]
fn what_may_go_well_another_time_is_tried_another_time() {
    let function = "
def slow(path):
    if width(path) == 8 + 3 and not os.path.exists('quick'):
        time.sleep(30)
    return 1
serve(slow)
";
    let Some(project) = python(function, "process.map", ", on_error: skip, retries: 0, timeout: 0.7") else { return };
    let yaml = project.read("pipe.yaml").replace("batch_size: 4", "batch_size: 1");
    project.write("pipe.yaml", yaml);
    let event = project.finished(&[]);
    assert_eq!((&event["ok"], &event["nodes"]["it"]["items_skipped"]), (&true.into(), &1.into()), "{event}");
    project.write("quick", "");
    let event = project.finished(&[]);
    assert_eq!(
        (&event["nodes"]["it"]["items_skipped"], &event["nodes"]["it"]["items_computed"]),
        (&0.into(), &1.into()),
        "{event}"
    );
    assert_eq!(project.finished(&[])["ran"], 0);
}

#[test]
fn nothing_that_a_command_does_holds_up_an_end() {
    // It neither reads nor answers; what is left behind holds its output open.
    for (command, timeout, expected) in [
        ("sleep 1000", ", timeout: 0.5", "did not answer within 0.5 s"),
        ("sleep 1000 & exit 3", "", "ended with exit status: 3"),
    ] {
        let project = Project::with(&format!(
            "nodes: {{ photos: {{ kind: dataset.synthetic, with: {{ count: 3000, size: 16 }} }}, it: {{ kind: process.map, from: photos, with: {{ command: '{command}', batch_size: 3000, retries: 0{timeout} }} }} }}"
        ));
        let began = Instant::now();
        let ran = project.pipe(&["run"]);
        assert!(ran.code == 1 && ran.stderr.contains(expected), "{}", ran.stderr);
        assert!(began.elapsed() < Duration::from_secs(60));
    }
}

#[cfg(unix)]
#[test]
fn outputs_keep_their_names_or_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let command = "mkdir \"$out/d\"; printf 1 > \"$out/d/n\"; printf 2 > \"$out/d\\\\n\"";
    let project = Project::with(&format!(
        "nodes: {{ it: {{ kind: shell, with: {{ command: {} }}, export: res }} }}",
        Value::from(command)
    ));
    project.ok(&["run"]);
    assert_eq!((project.read("res/d/n").as_str(), project.read("res/d\\n").as_str()), ("1", "2"));
    let project =
        Project::with("nodes: { it: { kind: shell, with: { command: 'cp pipe.yaml \"$out/$(printf \"\\377\")\"' } } }");
    let ran = project.pipe(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("not UTF-8"), "{}", ran.stderr);
    assert!(std::ffi::OsStr::from_bytes(b"\xff").to_str().is_none());
}

#[test]
fn the_folder_that_a_command_runs_in_counts() {
    let project = Project::with(
        "nodes: { it: { kind: shell, with: { command: 'cat x > \"$out/x\"', cwd: one }, export: x.txt } }",
    );
    project.write("one/x", "one");
    project.write("two/x", "two");
    project.ok(&["run"]);
    project.write("pipe.yaml", project.read("pipe.yaml").replace("cwd: one", "cwd: two"));
    assert_eq!(project.finished(&[])["ran"], 1);
    assert_eq!(project.read("x.txt"), "two");
    project.write("pipe.yaml", project.read("pipe.yaml").replace("cwd: two", "cwd: three"));
    let ran = project.pipe(&["run"]);
    assert!(ran.code == 1 && ran.stderr.contains("there is no folder"), "{}", ran.stderr);
    // A part's command runs beside the part.
    project.write("pipe.yaml", "nodes: { it: { uses: two/part.yaml, export: { x: y.txt } } }");
    project.write(
        "two/part.yaml",
        "outputs: { x: it }\nnodes: { it: { kind: shell, with: { command: 'cat x > \"$out/x\"; exit 0' } } }",
    );
    project.ok(&["run"]);
    assert_eq!(project.read("y.txt"), "two");
}

#[cfg(unix)]
#[test]
fn what_a_command_leaves_running_ends_with_it() {
    let project = Project::with(
        "nodes: { it: { kind: shell, with: { command: 'sleep 300 & echo $! > pid; echo 1 > \"$out/x\"' } } }",
    );
    project.ok(&["run"]);
    let pid = project.read("pid");
    let alive = || Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status().unwrap().success();
    let began = Instant::now();
    while alive() && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(!alive());
}
