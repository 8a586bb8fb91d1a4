//! What is told of NVIDIA GPUs that are there, too old, taken or full, and what one computes, with programs in C
//! that play the driver and NVML.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::photos::{PIPELINE, project};
use crate::common::{Project, Ran, distance};

/// The files that play the driver.
const DRIVER: [&str; 5] = ["cuda.c", "reader.c", "instructions.c", "warps.c", "counts.c"];

/// Compiles programs of `tests/driver` into a library of that name; a test without a C compiler says that
/// it was skipped.
#[cfg(target_os = "linux")]
fn library(project: &Project, sources: &[&str], name: &str) -> bool {
    let sources = sources.iter().map(|file| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/driver").join(file));
    let folder = project.path("libraries");
    std::fs::create_dir_all(&folder).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(folder.join(name)).args(sources).args(["-lm", "-lpthread"]);
    let is_there = compiler.status().is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("SKIPPED: no C compiler");
    }
    is_there
}

#[cfg(not(target_os = "linux"))]
fn library(_: &Project, _: &[&str], _: &str) -> bool {
    eprintln!("SKIPPED: the libraries' names are Linux'");
    false
}

fn with_driver(project: &Project, words: &[&str], says: &[(&str, &str)]) -> Ran {
    let mut command = project.command(words);
    command.env("LD_LIBRARY_PATH", project.path("libraries")).envs(says.iter().copied());
    command.env("CUDA_PATH", project.path("nowhere"));
    Ran::from(command.output().unwrap())
}

#[test]
fn what_is_wrong_with_a_gpu_is_told_before_anything_runs_on_it() {
    let project = project(8);
    if !library(&project, &DRIVER, "libcuda.so.1") {
        return;
    }
    let cases = [
        (vec![("FAKE_INIT", "100")], "the NVIDIA driver knows no GPU"),
        (vec![("FAKE_INIT", "803")], "the NVIDIA driver's library and kernel module are of different versions"),
        (vec![("FAKE_INIT", "999")], "the NVIDIA driver does not start (cuInit gave 999)"),
        (vec![("FAKE_VERSION", "11040")], "the NVIDIA driver knows CUDA 11.4, and 12.0 is needed"),
        (vec![("FAKE_COUNT", "0")], "the NVIDIA driver knows no GPU"),
        (vec![("FAKE_MODE", "2"), ("FAKE_CONTEXT", "46")], "no process may compute on GPU 0, its compute mode says"),
        (vec![("FAKE_CONTEXT", "46")], "GPU 0 is in exclusive use by another process"),
        (vec![("FAKE_CONTEXT", "2")], "the memory of GPU 0 is full"),
        (vec![("FAKE_FREE", "100")], "only 100 of 24576 MiB of the memory of GPU 0 are free"),
    ];
    for (says, expected) in cases {
        let ran = with_driver(&project, &["run", "--device", "cuda"], &says);
        assert_eq!(ran.code, 1, "{says:?}\n{}", ran.stderr);
        let told = ran.stderr.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(told.contains(&format!("cannot use cuda: {expected}")), "no `{expected}` in\n{}", ran.stderr);
        assert!(told.contains("--device cpu"), "{}", ran.stderr);
    }
    let ran = with_driver(&project, &["run", "--device", "cuda:3"], &[("FAKE_COUNT", "2")]);
    assert!(ran.stderr.contains("there is no GPU 3: the driver counts 2"), "{}", ran.stderr);
    // Where nothing was asked for, the CPU does it.
    let ran = with_driver(&project, &["run"], &[("FAKE_CONTEXT", "46")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn the_doctor_names_every_card() {
    let project = Project::new();
    if !library(&project, &DRIVER, "libcuda.so.1") {
        return;
    }
    let ran = with_driver(&project, &["doctor"], &[("FAKE_COUNT", "2"), ("FAKE_MODE", "2")]);
    for part in ["cuda:0", "First Card, 24 GiB, compute capability 8.6, no process may use it", "Second Card"] {
        assert!(ran.stdout.contains(part), "no `{part}` in\n{}", ran.stdout);
    }
}

/// NVIDIA's compiler makes the kernels, and the driver that is played runs them.
#[test]
fn kernels_for_cuda_compute_what_the_cpu_computes() {
    let Some(nvidia) = std::env::var_os("PIPE_TEST_NVIDIA").map(PathBuf::from) else {
        eprintln!("SKIPPED: `tests/driver/nvidia FOLDER` makes what PIPE_TEST_NVIDIA=FOLDER names");
        return;
    };
    let features = |device: &str| {
        let project = project(8);
        let yaml = PIPELINE.replace("squeezenet1_1", "efficientnet_b0");
        project.write("pipe.yaml", yaml.replace("from: images, with", "from: images, export: f.safetensors, with"));
        let mut command = project.command(&["run", "features", "--device", device]);
        command.env("LD_LIBRARY_PATH", nvidia.join("lib")).env("CUDA_PATH", &nvidia).env("PIPE_GPU_BATCH", "4");
        command.env("FAKE_COUNTS", project.path("counts.tsv"));
        let ran = Ran::from(command.output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(ran.stderr.contains("on cuda:0"), device == "cuda", "{}", ran.stderr);
        if device == "cuda" {
            assert_moved(&std::fs::read_to_string(project.path("counts.tsv")).unwrap());
        }
        project.features("f.safetensors")
    };
    let off = distance(&features("cpu"), &features("cuda"));
    assert!(off < 1e-3, "off by {off}");
    assert!(off > 0.0, "the CPU computed both");
}

/// Whether the pixels of four photos of 32 by 32 became numbers once a batch, as the driver counts it.
fn assert_moved(counts: &str) {
    let mut lines = counts.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let of = |line: &[&str], name: &str| -> usize {
        line[names.iter().position(|other| *other == name).unwrap()].parse().unwrap()
    };
    let pixels: Vec<_> = lines.filter(|line| line[0].starts_with("pixels_kernel")).collect();
    assert!(pixels.len() >= 2, "{counts}");
    for line in pixels {
        let bytes = 4 * 32 * 32 * 3;
        // Sizes and colours are read too.
        assert!((bytes..bytes + 256).contains(&(32 * of(&line, "different_read"))), "{line:?}");
        assert_eq!(32 * of(&line, "different_written"), bytes * size_of::<f32>());
        assert!(of(&line, "threads_ran") <= 32 * of(&line, "instructions"), "{line:?}");
    }
}

/// Libraries are looked for where the environment said when a process began, so this is another one.
#[test]
fn nvml_is_asked_how_busy_a_gpu_is() {
    let project = Project::new();
    if !(library(&project, &DRIVER, "libcuda.so.1") && library(&project, &["nvml.c"], "libnvidia-ml.so.1")) {
        return;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "driver::a_watch_sees_what_nvml_tells", "--ignored", "--nocapture"]);
    let output = command.env("LD_LIBRARY_PATH", project.path("libraries")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
#[ignore = "runs in a process of its own, which nvml_is_asked_how_busy_a_gpu_is starts"]
fn a_watch_sees_what_nvml_tells() {
    use pipe_nn::{ComputeDevice, Watch};
    let watch = Watch::start(ComputeDevice::Cuda(0)).unwrap();
    let used = std::iter::repeat_with(|| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        watch.told()
    });
    let used = used.take(500).flatten().next().unwrap();
    assert_eq!((used.busy, used.memory), (0.5, 3 << 30));
    assert!(Watch::start(ComputeDevice::Cuda(1)).is_none(), "there is no second card");
}
