//! Never stale, never needless: what is done to the world, and how many items it costs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::common::Project;
use crate::common::photos::{computed, photos, project};

/// How long a file must be left alone before its times are trusted.
const SETTLED: Duration = Duration::from_millis(2100);
const PHOTOS: u8 = 12;

/// A case's name, what it does, and the photos that must be decoded and go through the backbone.
type Case = (&'static str, fn(&Project), u64);

const CASES: &[Case] = &[
    ("nothing", |_| {}, 0),
    ("all files touched", touch_all, 0),
    ("a photo replaced", |project| replace(project, Keep::Nothing), 1),
    ("a photo replaced, mtime kept", |project| replace(project, Keep::Time), 1),
    ("a photo replaced, size kept", |project| replace(project, Keep::Size), 1),
    ("a photo replaced, mtime and size kept", |project| replace(project, Keep::Both), 1),
    ("a photo renamed over by another, mtime and size kept", rename_over, 1),
    ("a photo with an mtime in the future", |project| set_time(project, SystemTime::now() + YEAR), 0),
    ("a photo replaced, with an mtime in the future", replaced_in_the_future, 1),
    ("a photo replaced, with an mtime of long ago", replaced_long_ago, 1),
    ("the same bytes under a new name", rename, 0),
    ("a photo listed twice", list_twice, 0),
    ("a new photo listed twice", list_new_twice, 1),
    ("three rows deleted", delete_rows, 0),
    ("a label changed", relabel, 0),
    ("rows reordered", reorder, 0),
    ("a photo in an earlier tree over that of a later one", shadow, 1),
    ("a param of the images changed", |project| edit(project, "size: 32", "size: 40"), PHOTOS as u64),
    ("a param changed and changed back", there_and_back, 0),
    ("a param of the head changed", |project| edit(project, "epochs: 3", "epochs: 4"), 0),
    ("what to do with broken photos changed", skip_broken, 0),
    ("a comment added", |project| edit(project, "name: small", "name: small # a comment"), 0),
];

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[test]
fn never_stale_and_never_needless() {
    let projects: Vec<(Project, &Case)> = CASES
        .iter()
        .map(|case| {
            let project = project(PHOTOS);
            edit(&project, "objects: [objects]", "objects: [first, objects]");
            fs::create_dir(project.path("first")).unwrap();
            (project, case)
        })
        .collect();
    // Long enough ago that nothing is read again only because it is young.
    thread::sleep(SETTLED);
    projects.iter().for_each(|(project, _)| drop(project.ok(&["run"])));
    for (project, (name, act, expected)) in projects {
        act(&project);
        let event = project.finished(&[]);
        assert_eq!(event["ok"], true, "{name}");
        assert_eq!(computed(&event, "images").0, *expected, "decoded: {name}");
        assert_eq!(computed(&event, "features").0, *expected, "through the backbone: {name}");
        // What a store that knows nothing gives is what must be.
        let fresh = fresh(&project);
        for node in ["labels", "split", "features", "head", "eval"] {
            assert_eq!(event["nodes"][node]["digest"], fresh["nodes"][node]["digest"], "{node}: {name}");
        }
        assert_eq!(project.finished(&[])["ran"], 0, "again: {name}");
    }
}

fn fresh(project: &Project) -> Value {
    let mut command = project.command(&["run", "--format", "json"]);
    let out = command.env("PIPE_STORE", project.path("fresh")).output().unwrap();
    serde_json::from_str(String::from_utf8(out.stdout).unwrap().lines().last().unwrap()).unwrap()
}

fn rows(project: &Project) -> Vec<String> {
    project.read("label.csv").lines().skip(1).map(str::to_owned).collect()
}

fn write_rows(project: &Project, rows: &[String]) {
    project.write("label.csv", format!("objectId,value\n{}\n", rows.join("\n")));
}

fn object(project: &Project, name: &str) -> PathBuf {
    project.path(&format!("objects/{}/{}/{name}", &name[..2], &name[2..4]))
}

/// The file of the first row.
fn first(project: &Project) -> PathBuf {
    object(project, rows(project)[0].split(',').next().unwrap())
}

fn edit(project: &Project, from: &str, to: &str) {
    let text = project.read("pipe.yaml");
    assert!(text.contains(from));
    project.write("pipe.yaml", text.replace(from, to));
}

fn touch_all(project: &Project) {
    for path in project.files("objects").keys() {
        let path = project.path(path.to_str().unwrap());
        let bytes = fs::read(&path).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

#[derive(PartialEq)]
enum Keep {
    Nothing,
    Time,
    Size,
    Both,
}

/// Another photo's bytes in the place of the first row's, under the same name.
fn replace(project: &Project, keep: Keep) {
    let path = first(project);
    let (old, time) = (fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    let mut new = photos(100).pop().unwrap();
    if keep == Keep::Size || keep == Keep::Both {
        // Bytes behind the end of a JPEG are no part of the picture.
        new = old.clone();
        let middle = new.len() - 20;
        new[middle] ^= 1;
    } else {
        new.extend(b"longer");
    }
    fs::write(&path, &new).unwrap();
    assert_eq!(keep == Keep::Size || keep == Keep::Both, new.len() == old.len());
    if keep == Keep::Time || keep == Keep::Both {
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
}

fn rename_over(project: &Project) {
    let path = first(project);
    let other = project.path("other.jpg");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() - 20;
    bytes[middle] ^= 2;
    fs::write(&other, bytes).unwrap();
    let time = path.metadata().unwrap().modified().unwrap();
    File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
    fs::rename(other, path).unwrap();
}

fn set_time(project: &Project, time: SystemTime) {
    File::options().write(true).open(first(project)).unwrap().set_modified(time).unwrap();
}

fn replaced_in_the_future(project: &Project) {
    set_time(project, SystemTime::now() + YEAR);
    project.ok(&["run"]);
    replace(project, Keep::Both);
}

fn replaced_long_ago(project: &Project) {
    set_time(project, SystemTime::UNIX_EPOCH + YEAR);
    thread::sleep(SETTLED);
    project.ok(&["run"]);
    replace(project, Keep::Both);
}

fn rename(project: &Project) {
    let mut rows = rows(project);
    let (name, value) = rows[0].split_once(',').unwrap();
    let new = format!("{}00.jpg", &name[..38]);
    fs::rename(object(project, name), object(project, &new)).unwrap();
    rows[0] = format!("{new},{value}");
    write_rows(project, &rows);
}

fn list_twice(project: &Project) {
    let mut rows = rows(project);
    rows.push(rows[3].clone());
    write_rows(project, &rows);
}

fn list_new_twice(project: &Project) {
    let mut rows = rows(project);
    let new = project.object("objects", &photos(50).pop().unwrap());
    rows.extend([format!("{new},0"), format!("{new},0")]);
    write_rows(project, &rows);
}

fn delete_rows(project: &Project) {
    let mut rows = rows(project);
    for row in rows.drain(1..4) {
        fs::remove_file(object(project, row.split(',').next().unwrap())).unwrap();
    }
    write_rows(project, &rows);
}

fn relabel(project: &Project) {
    let mut rows = rows(project);
    let (name, value) = rows[2].split_once(',').unwrap();
    rows[2] = format!("{name},{}", if value == "0" { "1" } else { "0" });
    write_rows(project, &rows);
}

fn reorder(project: &Project) {
    let mut rows = rows(project);
    rows.reverse();
    write_rows(project, &rows);
}

/// The tree that is searched first gets a file of the first row's name, with other bytes.
fn shadow(project: &Project) {
    let path = first(project);
    let inside = path.strip_prefix(project.path("objects")).unwrap().to_str().unwrap().to_owned();
    project.write(&format!("first/{inside}"), photos(60).pop().unwrap());
}

fn there_and_back(project: &Project) {
    project.ok(&["run", "--set", "size=40"]);
}

fn skip_broken(project: &Project) {
    edit(project, "size: \"${size}\"", "size: \"${size}\", on_error: skip");
}

#[test]
fn a_file_written_while_it_is_recorded_is_not_trusted() {
    // Two contents of equal size in the same instant, as a coarse clock would have it.
    let project = project(PHOTOS);
    for round in 0..3u8 {
        let path = first(&project);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() - 20;
        bytes[middle] = round;
        fs::write(&path, bytes).unwrap();
        let event = project.finished(&[]);
        let fresh = fresh(&project);
        assert_eq!(event["nodes"]["labels"]["digest"], fresh["nodes"]["labels"]["digest"]);
    }
}

#[test]
fn a_clock_that_was_set_back_tells_nothing() {
    let project = project(PHOTOS);
    thread::sleep(SETTLED);
    project.ok(&["run"]);
    // What was seen says that it was seen in the future: its second field, nanoseconds since 1970.
    for trace in project.files(".pipe/v1/world").keys() {
        project.damage(trace, |bytes| {
            let future = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + YEAR;
            bytes[8..16].copy_from_slice(&(future.as_nanos() as i64).to_le_bytes());
            let body = bytes.len() - 66;
            let digest = pipe_store::Digest::of(&bytes[..body]);
            bytes.truncate(body);
            bytes.extend(format!("\n{digest}\n").as_bytes());
        });
    }
    replace(&project, Keep::Both);
    assert_eq!(computed(&project.finished(&[]), "features").0, 1);
}

#[test]
fn rehash_reads_everything_anew() {
    let project = project(PHOTOS);
    thread::sleep(SETTLED);
    project.ok(&["run"]);
    // The trace is made to say that the present file has the digest of another.
    let csv = rows(&project);
    let path = first(&project);
    let digest = pipe_store::Digest::of(&fs::read(&path).unwrap());
    for trace in project.files(".pipe/v1/world").keys() {
        project.damage(trace, |bytes| {
            let body = bytes.len() - 66;
            bytes.truncate(body);
            if let Some(at) = bytes.windows(32).position(|window| window == digest.as_bytes()) {
                bytes[at..at + 32].copy_from_slice(pipe_store::Digest::of(b"another").as_bytes());
            }
            let digest = pipe_store::Digest::of(bytes);
            bytes.extend(format!("\n{digest}\n").as_bytes());
        });
    }
    write_rows(&project, &csv.iter().rev().cloned().collect::<Vec<_>>());
    let misled = project.finished(&["labels"]);
    let rehashed = project.finished(&["labels", "--rehash"]);
    assert_ne!(misled["nodes"]["labels"]["digest"], rehashed["nodes"]["labels"]["digest"]);
    assert_eq!(rehashed["nodes"]["labels"]["digest"], fresh(&project)["nodes"]["labels"]["digest"]);
}

#[test]
fn files_known_by_their_names_are_not_read_until_they_are_needed() {
    let project = project(8);
    edit(&project, "objects: [objects]", "objects: [objects], identity: name");
    assert_eq!(project.finished(&[])["ok"], true);
    touch_all(&project);
    assert_eq!(project.finished(&[])["ran"], 0);
    // A file whose bytes are not those of its name is found when they are read.
    replace(&project, Keep::Nothing);
    assert_eq!(project.finished(&[])["ran"], 0, "a name stands for its bytes");
    let ran = project.pipe(&["run", "--set", "size=40"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("do not have the SHA-1 that its"), "{}", ran.stderr);
    let mut named = rows(&project);
    fs::write(project.path("objects/plain.jpg"), photos(20).pop().unwrap()).unwrap();
    named.push("plain.jpg,0".to_owned());
    write_rows(&project, &named);
    assert!(project.pipe(&["run"]).stderr.contains("plain.jpg: its name is no SHA-1"));
}
