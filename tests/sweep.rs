//! `pipe gc` and `pipe store`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::Project;
use crate::common::photos::{computed, photos, project};

fn json(project: &Project, words: &[&str]) -> Value {
    serde_json::from_str(&project.ok(&[words, &["--format", "json"]].concat()).stdout).unwrap()
}

#[test]
fn what_no_kept_run_gave_is_taken_away() {
    let project = project(24);
    project.ok(&["run"]);
    project.ok(&["run", "--set", "size=40"]);
    project.ok(&["run", "--set", "size=48"]);
    let full = json(&project, &["store", "info"]);
    assert_eq!((&full["items"], &full["runs"]), (&Value::from(72), &Value::from(3)));
    let dry = json(&project, &["gc", "--keep-runs", "1", "--dry-run"]);
    assert_eq!(dry["items"], 48);
    assert_eq!(json(&project, &["store", "info"]), full, "only told");
    let swept = json(&project, &["gc", "--keep-runs", "1"]);
    assert_eq!(swept["items"], 48);
    assert!(swept["blobs"].as_u64().unwrap() > 0 && swept["records"].as_u64().unwrap() > 0, "{swept}");
    assert_eq!(json(&project, &["store", "info"])["items"], 24);
    project.ok(&["store", "verify"]);
    assert_eq!(project.finished(&["--set", "size=48"])["ran"], 0, "the last run is kept whole");
    assert_eq!(computed(&project.finished(&[]), "features").0, 24, "an older one is computed again");
    let log = json(&project, &["log"]);
    assert_eq!(log.as_array().unwrap().len(), 5, "the log stays whole");
    assert!(log.as_array().unwrap().iter().all(|run| run["metrics"]["eval.accuracy"].is_number()), "{log}");
}

#[test]
fn a_pinned_run_is_kept() {
    let project = project(12);
    project.ok(&["run"]);
    assert!(project.ok(&["pin", "last"]).stdout.contains("is pinned"));
    project.ok(&["run", "--set", "size=40"]);
    assert!(project.ok(&["log"]).stdout.contains("ok, pinned"));
    assert_eq!(json(&project, &["gc", "--keep-runs", "1"])["items"], 0);
    assert_eq!(project.finished(&[])["ran"], 0);
    project.ok(&["run", "--set", "size=40"]);
    project.ok(&["pin", "last~3", "--remove"]);
    assert_eq!(project.pipe(&["pin"]).code, 2);
    assert_eq!(project.pipe(&["pin", "nothing"]).code, 2);
    assert_eq!(json(&project, &["gc", "--keep-runs", "1"])["items"], 12);
}

#[test]
fn part_of_a_pack_is_taken_away_too() {
    let project = project(24);
    project.ok(&["run"]);
    let csv = project.read("label.csv");
    let kept: Vec<&str> = csv.lines().take(9).collect();
    project.write("label.csv", kept.join("\n"));
    project.ok(&["run"]);
    assert_eq!(json(&project, &["gc", "--keep-runs", "1"])["items"], 16);
    project.ok(&["store", "verify"]);
    assert_eq!(project.finished(&[])["ran"], 0);
    project.write("label.csv", csv);
    assert_eq!(computed(&project.finished(&[]), "features"), (16, 8));
}

#[test]
fn ages_and_sizes_are_kept_to() {
    let project = project(12);
    for size in ["32", "36", "40", "44"] {
        project.ok(&["run", "--set", &format!("size={size}")]);
    }
    assert_eq!(json(&project, &["gc", "--older-than", "1d"])["items"], 0, "all are young");
    assert_eq!(json(&project, &["gc", "--max-size", "1GB"])["items"], 0, "all fit");
    let used = json(&project, &["store", "info"])["bytes"].as_u64().unwrap();
    let most = used * 6 / 10;
    assert!(json(&project, &["gc", "--max-size", &format!("{most}B")])["items"].as_u64().unwrap() >= 12);
    assert!(json(&project, &["store", "info"])["bytes"].as_u64().unwrap() <= most);
    assert_eq!(project.finished(&["--set", "size=44"])["ran"], 0);
    for wrong in [["gc", "--older-than", "soon"], ["gc", "--max-size", "much"]] {
        assert_eq!(project.pipe(&wrong).code, 2);
    }
    assert_eq!(project.pipe(&["gc", "--older-than", "1d", "--keep-runs", "2"]).code, 2);
}

#[test]
fn nothing_that_a_running_process_uses_is_taken_away() {
    let project = project(8);
    project.write(
        "slow.yaml",
        "nodes: { slow: { kind: shell, with: { command: 'touch \"$PWD/on\"; sleep 1; echo x > \"$out/x\"' } } }",
    );
    let running = project.command(&["run", "slow.yaml"]).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while !project.path("on").exists() && began.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let swept = project.ok(&["gc"]);
    assert!(swept.stderr.contains("waiting: another pipe process uses the store"), "{}", swept.stderr);
    assert!(running.wait_with_output().unwrap().status.success());
}

#[test]
fn damage_is_found_named_and_repaired() {
    let project = project(16);
    let first = project.finished(&[]);
    assert!(project.ok(&["store", "verify"]).stdout.contains("no damage"));
    let files = project.files(".pipe/v1");
    let of = |folder: &str| {
        files.keys().find(|path| path.to_string_lossy().contains(&format!("/{folder}/"))).unwrap().clone()
    };
    let damaged: Vec<_> = ["blobs", "packs", "index", "documents/nodes", "world"].into_iter().map(of).collect();
    for path in &damaged {
        project.damage(path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
        });
    }
    let found = project.pipe(&["store", "verify"]);
    assert_eq!(found.code, 1);
    for path in &damaged {
        let name = path.strip_prefix(".pipe/v1").unwrap().to_string_lossy().into_owned();
        assert!(found.stdout.contains(&name), "{name}: {}", found.stdout);
    }
    assert!(project.ok(&["store", "verify", "--repair"]).stdout.contains("dropped"));
    assert!(project.ok(&["store", "verify"]).stdout.contains("no damage"));
    let mended = project.finished(&[]);
    for node in ["features", "head", "eval"] {
        assert_eq!(mended["nodes"][node]["digest"], first["nodes"][node]["digest"]);
    }
    assert!(computed(&mended, "features").0 <= 1, "what lies beside the damage is kept: {mended}");
}

#[test]
fn what_is_lost_is_told_and_computed_again() {
    let project = project(12);
    project.ok(&["run"]);
    std::fs::remove_dir_all(project.path(".pipe/v1/blobs")).unwrap();
    assert!(project.ok(&["store", "verify"]).stdout.contains("lost; `eval` gave it"));
    project.ok(&["run"]);
    assert!(!project.ok(&["store", "verify"]).stdout.contains("lost"));
    project.ok(&["clean", "features"]);
    project.ok(&["store", "verify"]);
}

#[test]
fn a_lost_index_is_made_again_from_the_packs() {
    let project = project(16);
    project.ok(&["run"]);
    for index in project.files(".pipe/v1/index").keys() {
        std::fs::remove_file(project.path(index.to_str().unwrap())).unwrap();
    }
    project.ok(&["store", "verify"]);
    let new = project.object("objects", photos(17).last().unwrap());
    project.write("label.csv", format!("{}{new},0\n", project.read("label.csv")));
    assert_eq!(computed(&project.finished(&[]), "features"), (1, 16));
}
