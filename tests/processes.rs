//! Several processes on one store.

use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::common::photos::{PIPELINE, computed, project};
use crate::common::{Project, Ran};

/// Starts them all at once and gives each one's last event and all that it said.
fn at_once(projects: &[Project], store: &Project, set: &[&str]) -> Vec<(Value, String)> {
    let words = [&["run", "--format", "json"], set].concat();
    let running: Vec<_> = projects
        .iter()
        .map(|project| {
            let mut command = project.command(&words);
            command.env("PIPE_STORE", store.path("store")).stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let waiting: Vec<_> =
        running.into_iter().map(|child| thread::spawn(|| Ran::from(child.wait_with_output().unwrap()))).collect();
    waiting
        .into_iter()
        .map(|waiting| {
            let ran = waiting.join().unwrap();
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            (serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap(), ran.stdout)
        })
        .collect()
}

fn all_computed(events: &[(Value, String)]) -> u64 {
    events.iter().map(|(event, _)| computed(event, "features").0).sum()
}

#[test]
fn two_and_eight_processes_compute_each_item_once() {
    for count in [2, 8] {
        let store = Project::new();
        // The first 40 photos in different numbers and orders: tables differ, photos are shared.
        let projects: Vec<Project> = (0..count)
            .map(|number| {
                let project = project(40 - 3 * (number % 4));
                if number % 2 == 1 {
                    let csv = project.read("label.csv");
                    let mut rows: Vec<&str> = csv.lines().skip(1).collect();
                    rows.reverse();
                    project.write("label.csv", format!("objectId,value\n{}\n", rows.join("\n")));
                }
                project
            })
            .collect();
        let events = at_once(&projects, &store, &[]);
        assert_eq!(all_computed(&events), 40, "{count} processes");
    }
}

#[test]
fn processes_that_want_the_same_wait_for_one() {
    let store = Project::new();
    let projects: Vec<Project> = (0..4).map(|_| project(40)).collect();
    let events = at_once(&projects, &store, &[]);
    assert_eq!(all_computed(&events), 40);
    let ran: u64 = events.iter().map(|(event, _)| u64::from(event["nodes"]["head"]["status"] == "ran")).sum();
    assert_eq!(ran, 1, "the head is trained once");
    let digests: Vec<&Value> = events.iter().map(|(event, _)| &event["nodes"]["eval"]["digest"]).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]));
}

#[test]
fn nodes_with_equal_keys_in_one_pipeline_run_once() {
    let project = project(20);
    let twice = PIPELINE.replace(
        "  eval:",
        "  again: { kind: train.head, from: features, with: { epochs: \"${epochs}\", batch_size: 8 } }\n  eval:",
    );
    project.write("pipe.yaml", twice);
    let event = project.finished(&[]);
    let statuses = ["head", "again"].map(|node| event["nodes"][node]["status"].as_str().unwrap().to_owned());
    assert!(statuses.contains(&"reused".to_owned()) && statuses.contains(&"ran".to_owned()), "{statuses:?}");
}
