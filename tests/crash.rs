//! Killed at any instant: nothing that was finished is lost, nothing wrong is left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::common::Project;
use crate::common::photos::{computed, project};

const PHOTOS: u8 = 24;

/// The points of a run at which something is written, in order, or up to where it was killed.
fn points(project: &Project) -> Vec<String> {
    let log = fs::read_to_string(project.path("points")).unwrap_or_default();
    let _ = fs::remove_file(project.path("points"));
    log.lines().map(str::to_owned).collect()
}

fn digests(event: &Value) -> BTreeMap<String, Value> {
    let nodes = event["nodes"].as_object().unwrap();
    nodes.iter().map(|(name, node)| (name.clone(), node["digest"].clone())).collect()
}

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum When<'a> {
    /// At that point, reached for that time.
    At(&'a str, usize),
    /// After so long.
    After(Duration),
}

/// Runs until it is killed, and tells whether it was and the points that it reached.
fn killed(project: &Project, when: When<'_>) -> (bool, Vec<String>) {
    let mut command = project.command(&["run"]);
    command.env("PIPE_FAULT_LOG", project.path("points")).stdout(Stdio::null()).stderr(Stdio::null());
    if let When::At(point, times) = when {
        command.env("PIPE_FAULT", format!("kill:{point}:{times}"));
    }
    let mut running = command.spawn().unwrap();
    if let When::After(time) = when {
        thread::sleep(time);
        running.kill().unwrap();
    }
    let status = running.wait().unwrap();
    (!status.success(), points(project))
}

fn items(points: &[String]) -> usize {
    points.iter().filter(|point| *point == "pack: item").count()
}

#[test]
fn a_kill_at_any_instant_loses_nothing_that_was_finished() {
    let undisturbed = project(PHOTOS);
    let mut command = undisturbed.command(&["run"]);
    assert!(command.env("PIPE_FAULT_LOG", undisturbed.path("points")).output().unwrap().status.success());
    let all = points(&undisturbed);
    let expected = digests(&undisturbed.finished(&[]));
    let names: BTreeSet<&String> = all.iter().collect();
    for point in ["file: create", "file: write", "file: rename", "lock: create", "pack: item", "pack: rename"] {
        assert!(names.contains(&point.to_owned()), "{point} is not reached: {names:?}");
    }
    let times = |name: &str| all.iter().filter(|point| *point == name).count();
    // Every point at its first and last time, then points and times spread over the whole run.
    let mut kills: Vec<When<'_>> =
        names.iter().flat_map(|name| [When::At(name, 1), When::At(name, times(name))]).collect();
    for kill in 0..120 {
        // Anywhere in the run; then soon after it was taken up again, since little is left to do.
        kills.push(When::At("any", 1 + kill * 37 % all.len()));
        kills.push(When::At("any", 1 + kill % 3));
        kills.push(When::After(Duration::from_millis(1 + kill as u64 * 53 % 120)));
    }
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let series: Vec<&[When<'_>]> = kills.chunks(3).collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(series) = series.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let project = project(PHOTOS);
                    // An item is written after its point: the last one may not have been.
                    let (mut least, mut most) = (0, 0);
                    for &when in *series {
                        let (was_killed, reached) = killed(&project, when);
                        done.fetch_add(usize::from(was_killed), Ordering::SeqCst);
                        let open = was_killed && reached.last().is_some_and(|point| point == "pack: item");
                        most += items(&reached);
                        least += items(&reached) - usize::from(open);
                    }
                    let last = project.finished(&[]);
                    assert_eq!(digests(&last), expected, "{series:?}");
                    let (computed, _) = computed(&last, "features");
                    let left = usize::from(PHOTOS).saturating_sub(most)..=usize::from(PHOTOS).saturating_sub(least);
                    assert!(left.contains(&(computed as usize)), "{series:?}: {computed} computed again, not {left:?}");
                    let verified = project.pipe(&["store", "verify"]);
                    assert_eq!(verified.code, 0, "{series:?}: {}", verified.stdout);
                    assert!(project.files(".pipe/v1/tmp").keys().all(|path| !path.to_string_lossy().contains("pack-")));
                }
            });
        }
    });
    let done = done.into_inner();
    assert!(done >= 200, "{done} runs were killed");
}
