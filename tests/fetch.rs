//! Files of the web: fetched once, held against their digest, found in the store afterwards.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::common::photos::{PIPELINE, computed, project};
use crate::common::server::{Server, refuse, send};
use crate::common::weights::safetensors;
use crate::common::{Project, Ran};

/// SqueezeNet's weights, by chance: three megabytes.
fn weights() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| safetensors("squeezenet1_1"))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A few photos, and weights from `place`.
fn photos_with(place: &str) -> Project {
    let project = project(6);
    let weights = format!("weights: \"{place}#sha256={}\", normalize: imagenet", sha256(weights()));
    project.write("pipe.yaml", PIPELINE.replace("weights: random", &weights));
    project
}

const HUB: &str = "hub:timm/squeezenet1_1.tv_in1k@0a1b2c";

fn run(project: &Project, server: &Server, words: &[&str]) -> Ran {
    let mut command = project.command(&[&["run"], words].concat());
    command.env("HF_ENDPOINT", &server.address).env("HF_TOKEN", "hf_secret");
    Ran::from(command.output().unwrap())
}

#[track_caller]
fn good(ran: Ran) -> Ran {
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    ran
}

#[test]
fn weights_of_the_hub_are_fetched_once_and_work_offline() {
    let project = photos_with(HUB);
    let server = Server::of(weights().to_vec());
    let events = good(run(&project, &server, &["--format", "json"])).stdout;
    assert!(events.contains(r#""event":"download""#), "{events}");
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/timm/squeezenet1_1.tv_in1k/resolve/0a1b2c/model.safetensors");
    assert_eq!(asked[0].headers["authorization"], "Bearer hf_secret");
    // Other features of the same weights: nobody is asked.
    let yaml = project.read("pipe.yaml").replace("normalize: imagenet", "normalize: none");
    project.write("pipe.yaml", &yaml);
    good(run(&project, &server, &[]));
    assert_eq!(server.asked().len(), 1);
    // The same file at another place is the same node.
    let elsewhere = yaml.replace(HUB, "https://example.invalid/squeezenet.safetensors");
    project.write("pipe.yaml", elsewhere);
    assert_eq!(project.finished(&[])["ran"], 0);
    // What a model was made with stays as long as the model.
    project.ok(&["gc", "--keep-runs", "1"]);
    project.write("pipe.yaml", yaml.replace("normalize: none", "normalize: { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] }"));
    good(run(&project, &server, &[]));
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn a_file_in_the_store_is_as_good_as_the_path_of_a_copy() {
    let server = Server::of(weights().to_vec());
    let fetched = photos_with(HUB);
    let ran = good(run(&fetched, &server, &["--format", "json"]));
    let fetched: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    let copied = project(6);
    copied.write("w.safetensors", weights());
    copied.write("pipe.yaml", PIPELINE.replace("weights: random", "weights: w.safetensors, normalize: imagenet"));
    let copied = copied.finished(&[]);
    for node in ["features", "head"] {
        let digest = |event: &Value| event["nodes"][node]["digest"].as_str().unwrap().to_owned();
        assert_eq!(digest(&fetched), digest(&copied), "{node}");
    }
}

#[test]
fn what_was_cut_off_goes_on_where_it_was() {
    let third = weights().len() / 3;
    let server = Server::start(move |number, asked, stream| {
        let until = [third, 2 * third].get(number).copied().unwrap_or(weights().len());
        send(stream, weights(), asked.from(), until);
    });
    good(run(&photos_with(HUB), &server, &[]));
    let from: Vec<Option<usize>> = server.asked().iter().map(|asked| asked.from()).collect();
    assert_eq!(from, [None, Some(third), Some(2 * third)]);
}

#[test]
fn a_host_without_ranges_sends_it_anew() {
    let half = weights().len() / 2;
    let server = Server::start(move |number, _, stream| {
        send(stream, weights(), None, if number == 0 { half } else { weights().len() });
    });
    good(run(&photos_with(HUB), &server, &[]));
    assert_eq!(server.asked().len(), 2);
}

#[test]
fn a_slow_file_that_is_interrupted_goes_on_in_the_next_run() {
    let part = 256 * 1024;
    let server = Server::start(move |number, asked, stream| {
        if number > 0 {
            return send(stream, weights(), asked.from(), weights().len());
        }
        send(stream, weights(), None, part);
        std::thread::sleep(Duration::from_secs(60));
    });
    let project = photos_with(HUB);
    let mut command = project.command(&["run", "--format", "json"]);
    command.env("HF_ENDPOINT", &server.address).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = command.spawn().unwrap();
    let began = Instant::now();
    let come = || {
        let parts = project.files(".pipe/v1/tmp");
        parts.iter().any(|(name, bytes)| name.to_string_lossy().contains("part-") && bytes.len() == part)
    };
    while !come() {
        assert!(began.elapsed() < Duration::from_secs(30), "nothing came");
        std::thread::sleep(Duration::from_millis(20));
    }
    Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    let ran = Ran::from(running.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    good(run(&project, &server, &[]));
    assert_eq!(server.asked()[1].from(), Some(part));
}

#[test]
fn another_file_than_was_meant_is_refused_and_not_kept() {
    let server = Server::of(b"<html>please sign in</html>".to_vec());
    let project = photos_with(HUB);
    let ran = run(&project, &server, &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("pipe::fetch") && ran.stderr.contains(&sha256(weights())[..16]), "{}", ran.stderr);
    assert!(project.files(".pipe/v1/tmp").keys().all(|name| !name.to_string_lossy().ends_with(&sha256(weights()))));
    assert!(!project.path(".pipe/v1/documents/fetched").exists());
    let mended = Server::of(weights().to_vec());
    good(run(&project, &mended, &[]));
}

#[test]
fn half_of_another_file_is_not_built_upon() {
    let project = photos_with(HUB);
    let wrong = vec![b'x'; weights().len()];
    let server = Server::start(move |number, asked, stream| match number {
        0 => send(stream, &wrong, None, 1000),
        _ => send(stream, weights(), asked.from(), weights().len()),
    });
    good(run(&project, &server, &[]));
    assert_eq!(server.asked().last().unwrap().from(), None);
}

#[test]
fn what_a_host_refuses_is_told() {
    for (status, tries, said) in [
        ("404 Not Found", 1, "the revision behind `@`"),
        ("401 Unauthorized", 1, "set HF_TOKEN"),
        ("500 Internal Server Error", 5, "gives status 500"),
    ] {
        let server = Server::start(move |_, _, stream| refuse(stream, status, ""));
        let ran = run(&photos_with(HUB), &server, &[]);
        assert_eq!(ran.code, 1);
        let text = ran.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains("pipe::fetch") && text.replace("│ ", "").contains(said), "{}", ran.stderr);
        assert_eq!(server.asked().len(), tries, "{status}");
    }
}

#[test]
fn a_host_that_is_busy_is_asked_again() {
    let server = Server::start(|number, asked, stream| match number {
        0 => refuse(stream, "503 Service Unavailable", ""),
        _ => send(stream, weights(), asked.from(), weights().len()),
    });
    good(run(&photos_with(HUB), &server, &[]));
}

#[test]
fn a_host_elsewhere_does_not_hear_the_token() {
    let elsewhere = Server::of(weights().to_vec());
    let place = format!("{}/file", elsewhere.address);
    let hub = Server::start(move |_, _, stream| refuse(stream, "302 Found", &format!("Location: {place}\r\n")));
    good(run(&photos_with(HUB), &hub, &[]));
    assert_eq!(hub.asked()[0].headers["authorization"], "Bearer hf_secret");
    assert_eq!(elsewhere.asked()[0].headers.get("authorization"), None);
}

#[test]
fn any_address_will_do() {
    let server = Server::of(weights().to_vec());
    let ran = good(run(&photos_with(&format!("{}/squeezenet.pth", server.address)), &server, &["--format", "json"]));
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(computed(&last, "features"), (6, 0));
    assert_eq!(server.asked()[0].headers.get("authorization"), None);
}

#[test]
fn two_processes_fetch_a_file_once() {
    let server = Server::start(|_, asked, stream| {
        std::thread::sleep(Duration::from_millis(300));
        send(stream, weights(), asked.from(), weights().len());
    });
    let project = photos_with(HUB);
    project.write("other.yaml", project.read("pipe.yaml").replace("size: 32 }", "size: 40 }"));
    let start = |words: &[&str]| {
        let mut command = project.command(words);
        command.env("HF_ENDPOINT", &server.address).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let both = [start(&["run"]), start(&["run", "other.yaml"])];
    for running in both {
        good(Ran::from(running.wait_with_output().unwrap()));
    }
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn addresses_that_name_no_one_file_are_told_before_anything_runs() {
    let digest = sha256(weights());
    for (place, said) in [
        ("hub:timm/resnet18.a1_in1k@main".to_owned(), "has no digest"),
        (format!("hub:timm/resnet18.a1_in1k#sha256={digest}"), "names no revision"),
        (format!("hub:resnet18@main#sha256={digest}"), "names no repository"),
        (format!("hub:timm/../x@main#sha256={digest}"), "names no repository"),
        ("https://example.invalid/a.pth#sha256=abc".to_owned(), "64 hex digits"),
        ("s3://bucket/a.pth".to_owned(), "cannot be fetched"),
        ("HTTPS://example.invalid/a.pth".to_owned(), "cannot be fetched"),
    ] {
        let project = project(2);
        project.write("pipe.yaml", PIPELINE.replace("weights: random", &format!("weights: \"{place}\"")));
        let ran = project.pipe(&["check"]);
        assert_eq!(ran.code, 2, "{place}");
        assert!(ran.stderr.contains("pipe::remote_file") && ran.stderr.contains(said), "{}", ran.stderr);
    }
    // With a digest, a plan needs no network.
    photos_with(HUB).ok(&["plan"]);
}

#[test]
fn a_store_that_cannot_be_written_is_no_reason_to_try_again() {
    let server = Server::of(weights().to_vec());
    let project = photos_with(HUB);
    // Where the file would grow lies a folder.
    project.write(&format!(".pipe/v1/tmp/part-{}/x", sha256(weights())), "");
    let ran = run(&project, &server, &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot write"), "{}", ran.stderr);
    assert!(server.asked().is_empty());
}

#[test]
fn an_address_that_is_none_is_told_at_once() {
    let ran = photos_with("http://a b/weights").pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.contains("pipe::fetch") && ran.stderr.contains("see that the address is right"),
        "{}",
        ran.stderr
    );
}

/// What came before an interrupt outlives a clean-up, and what a host says of no more is no part of it.
#[test]
fn a_part_is_kept_by_gc_and_a_whole_one_is_not_added_to() {
    let project = photos_with(HUB);
    let part = format!(".pipe/v1/tmp/part-{}", sha256(weights()));
    let longer = [weights(), b"and more".as_slice()].concat();
    project.write(&part, &longer);
    project.ok(&["gc"]);
    assert_eq!(project.files(".pipe/v1/tmp").values().map(Vec::len).max(), Some(longer.len()));
    let server = Server::start(|_, asked, stream| match asked.from() {
        Some(from) if from >= weights().len() => {
            let said = b"nothing is there";
            let _ = write!(stream, "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: {}\r\n\r\n", said.len());
            let _ = stream.write_all(said);
        }
        from => send(stream, weights(), from, weights().len()),
    });
    good(run(&project, &server, &[]));
    let asked = server.asked();
    assert_eq!(asked.iter().map(|asked| asked.from()).collect::<Vec<_>>(), [Some(longer.len()), None]);
}

#[test]
fn nothing_is_fetched_for_a_device_that_is_not_there() {
    let server = Server::of(weights().to_vec());
    let ran = run(&photos_with(HUB), &server, &["--device", "cuda:99"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("pipe::device") && server.asked().is_empty(), "{}", ran.stderr);
}
