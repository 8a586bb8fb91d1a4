//! What the cache costs and saves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::command::{median, memory_of, pipe, time};
use crate::peer::Peer;
use crate::report::{Report, ratio, seconds};
use crate::{Failure, lookups, machine, nodes, photos};

/// How long a file must be left alone before its times are trusted.
const SETTLED: Duration = Duration::from_millis(2200);
/// Photos that are added.
const MORE: usize = 100;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Photos in the tree
    #[arg(long, default_value = "22640")]
    photos: usize,
    /// Small nodes in a chain, and side by side
    #[arg(long, default_value = "1000")]
    nodes: usize,
    /// Tools to compare with, where they are installed
    #[arg(long, value_delimiter = ',', default_value = "make,ninja,doit,snakemake,dvc,datachain,pixeltable,cocoindex")]
    peers: Vec<String>,
    /// Tools that take part in the small nodes too; DVC takes more than a quarter of an hour
    #[arg(long, value_delimiter = ',', default_value = "make,ninja,doit,snakemake")]
    node_peers: Vec<String>,
    /// How often each no-op is measured; the median counts
    #[arg(long, default_value = "7")]
    repeats: usize,
    /// Only the tree of photos; nothing is written
    #[arg(long)]
    photos_only: bool,
    /// Where the work is done [default: a temporary folder]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Put the tables between the marks of this file
    #[arg(long)]
    write: Option<PathBuf>,
}

const PIPELINE: &str = "\
name: bench
params: { epochs: 10, size: 64 }
nodes:
  labels: { kind: dataset.csv, with: { labels: label.csv, objects: [objects] } }
  split: { kind: split.hash, from: labels, with: { balance: truncate } }
  images: { kind: preprocess.image, from: split, with: { size: \"${size}\", filter: nearest } }
  features: { kind: features.backbone, from: images, with: { model: mobilenet_v2, weights: random, normalize: imagenet } }
  head: { kind: train.head, from: features, with: { epochs: \"${epochs}\" } }
  eval: { kind: eval.classifier, from: { model: head, data: features } }
";

pub(crate) fn cache(args: &Args) -> Result<(), Failure> {
    let program = crate::pipe()?;
    let temporary = tempfile::tempdir()?;
    let folder = args.folder.clone().unwrap_or_else(|| temporary.path().to_owned());
    let mut report = Report::default();
    report.say(&format!("Measured {}; times of a no-op are medians of {}.", machine::machine(), args.repeats));
    let peers = Peer::installed(&args.peers);
    let version = || time(Command::new(&program).arg("--version"));
    let start: Vec<Duration> = (0..args.repeats).map(|_| version()).collect::<Result<_, _>>()?;
    report.say(&format!("`pipe --version` takes {}.", seconds(median(start))));
    tree(&mut report, args, &program, &folder.join("tree"), &peers)?;
    if args.photos_only {
        return Ok(());
    }
    let peers: Vec<Peer> = peers.into_iter().filter(|peer| args.node_peers.contains(&peer.name)).collect();
    nodes::nodes(&mut report, &program, &folder.join("nodes"), &peers, args.nodes, args.repeats)?;
    many(&mut report, args, &program, &folder)?;
    lookups::lookups(&mut report, &folder.join("lookups"), args.repeats)?;
    match &args.write {
        Some(file) => report.write(file, "cache"),
        None => Ok(()),
    }
}

/// A tree of photos: first, again, with more, with changes.
fn tree(report: &mut Report, args: &Args, program: &Path, folder: &Path, peers: &[Peer]) -> Result<(), Failure> {
    let ours = folder.join("pipe");
    fs::create_dir_all(&ours)?;
    let rows = photos::write(&ours, 0, args.photos)?;
    photos::table(&ours, &rows)?;
    fs::write(ours.join("pipe.yaml"), PIPELINE)?;
    thread::sleep(SETTLED);

    let cold = hashing(program, &ours, &rows, drop_caches)?;
    let warm = hashing(program, &ours, &rows, || true)?.ok_or("nothing was measured")?;
    let (first, event) = pipe(program, &ours, &[])?;
    let mut others = Vec::new();
    for peer in peers {
        let place = folder.join(&peer.name);
        fs::create_dir_all(&place)?;
        // Hard links: the same bytes, times of their own for folders.
        time(Command::new("cp").arg("-al").arg(ours.join("objects")).arg(&place))?;
        photos::table(&place, &rows)?;
        match peer.prepare(&place, "photos", &[]).and_then(|()| peer.run(&place)) {
            Ok(first) => others.push((peer, place, first, Vec::new())),
            Err(failure) => eprintln!("{} fails at {} photos: {failure}", peer.name, args.photos),
        }
    }
    thread::sleep(SETTLED);
    pipe(program, &ours, &[])?;
    let mut times: Vec<Duration> = Vec::new();
    for _ in 0..args.repeats {
        times.push(time(Command::new(program).arg("run").current_dir(&ours))?);
        for (peer, place, _, times) in &mut others {
            // One that takes seconds is measured twice.
            if times.len() < 2 || times.iter().all(|time: &Duration| *time < Duration::from_secs(2)) {
                times.push(peer.run(place)?);
            }
        }
    }
    let ours_noop = median(times);
    report.say(&format!(
        "{} photos of 320 x 240 as JPEG. The others' steps hash every photo (SHA-256) in Python; pipe's decode \
         each and run MobileNetV2 over it, so first runs are not compared.",
        args.photos
    ));
    let mut table = vec![vec!["pipe".to_owned(), seconds(ours_noop), "1".to_owned()]];
    let mut sorted: Vec<_> = others.into_iter().map(|(peer, _, _, times)| (median(times), peer)).collect();
    sorted.sort_by_key(|(time, _)| *time);
    for (time, peer) in sorted {
        table.push(vec![peer.version.clone(), seconds(time), ratio(time, ours_noop)]);
    }
    report.table(&["nothing to do", "time", "of pipe's"], &table);
    let memory = memory_of(program, &ours)? / 1024;

    // What the work on the new photos takes by itself.
    let alone = folder.join("alone");
    fs::create_dir_all(&alone)?;
    let new = photos::write(&alone, args.photos, MORE)?;
    photos::table(&alone, &new)?;
    fs::write(alone.join("pipe.yaml"), PIPELINE)?;
    let (_, work) = pipe(program, &alone, &["features"])?;
    let work = Duration::from_secs_f64(work["nodes"]["features"]["seconds"].as_f64().unwrap_or_default());
    let mut all = rows.clone();
    all.extend(photos::write(&ours, args.photos, MORE)?);
    photos::table(&ours, &all)?;
    let (more, event_more) = pipe(program, &ours, &[])?;
    let head = Duration::from_secs_f64(event_more["nodes"]["head"]["seconds"].as_f64().unwrap_or_default());
    let rest = more.saturating_sub(work).saturating_sub(head);
    let computed = |event: &serde_json::Value| event["nodes"]["features"]["items_computed"].to_string();
    let path = photos::object(&ours, &rows[0]);
    let mut bytes = fs::read(&path)?;
    bytes.extend(b"other bytes");
    fs::write(&path, bytes)?;
    let (changed, event_changed) = pipe(program, &ours, &[])?;
    let (param, event_param) = pipe(program, &ours, &["--set", "epochs=11"])?;
    let row =
        |what: &str, time: Duration, event: &serde_json::Value| vec![what.to_owned(), seconds(time), computed(event)];
    report.table(
        &["pipe", "time", "photos computed"],
        &[
            row("first run", first, &event),
            row(&format!("{MORE} photos more"), more, &event_more),
            row("one photo changed", changed, &event_changed),
            row("one param of the head changed", param, &event_param),
        ],
    );
    report.say(&format!(
        "Of the run with {MORE} photos more, {} is the work on these photos (measured by itself), {} is training the \
         head, and {} is all the rest. Hashing and splitting all photos into an empty store takes {} with the files in \
         memory, where reading them takes {}: {}.{} A run with nothing to do takes {memory} MiB of memory.",
        seconds(work),
        seconds(head),
        seconds(rest),
        seconds(warm.0),
        seconds(warm.1),
        ratio(warm.0, warm.1),
        cold.map_or_else(String::new, |(hashed, read)| {
            format!(" From the disk: {}, {}: {}.", seconds(hashed), seconds(read), ratio(hashed, read))
        }),
    ));
    Ok(())
}

/// How long it takes to hash and split all photos into an empty store, and to read them; `None`
/// where `prepare`, called before each, cannot do its part.
fn hashing(
    program: &Path,
    folder: &Path,
    rows: &[String],
    prepare: impl Fn() -> bool,
) -> Result<Option<(Duration, Duration)>, Failure> {
    let (mut hashed, mut read) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let _ = fs::remove_dir_all(folder.join(".pipe"));
        if !prepare() {
            return Ok(None);
        }
        hashed.push(pipe(program, folder, &["split"])?.0);
        prepare();
        read.push(read_all(folder, rows)?);
    }
    Ok(Some((median(hashed), median(read))))
}

/// Lets the system forget what files hold, so that they are read from the disk; root may.
fn drop_caches() -> bool {
    Command::new("sync").status().is_ok_and(|status| status.success())
        && fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

/// Reads every file once, on all cores, and does nothing with it.
fn read_all(folder: &Path, rows: &[String]) -> Result<Duration, Failure> {
    let began = Instant::now();
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let read = || {
        while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
            fs::read(photos::object(folder, row)).map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    };
    thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(read)).collect();
        running.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread died".to_owned())))
    })?;
    Ok(began.elapsed())
}

/// Ten times as many rows: each photo under ten names.
fn many(report: &mut Report, args: &Args, program: &Path, folder: &Path) -> Result<(), Failure> {
    let place = folder.join("many");
    fs::create_dir_all(&place)?;
    let tree = folder.join("tree/pipe");
    let mut rows = Vec::new();
    let table = fs::read_to_string(tree.join("label.csv"))?;
    for row in table.lines().skip(1).take(args.photos) {
        let (name, value) = row.split_once(',').ok_or("a row without a value")?;
        for copy in 0..10 {
            let other = format!("{copy}{}", &name[1..]);
            let to = photos::object(&place, &other);
            fs::create_dir_all(to.parent().unwrap_or(&place))?;
            if !to.exists() {
                fs::hard_link(photos::object(&tree, row), &to)?;
                rows.push(format!("{other},{value}"));
            }
        }
    }
    photos::table(&place, &rows)?;
    fs::write(place.join("pipe.yaml"), PIPELINE)?;
    thread::sleep(SETTLED);
    let (first, event) = pipe(program, &place, &[])?;
    let times = (0..args.repeats).map(|_| time(Command::new(program).arg("run").current_dir(&place)));
    let noop = median(times.collect::<Result<_, Failure>>()?);
    let memory = memory_of(program, &place)? / 1024;
    report.say(&format!(
        "{} rows, each photo under ten names (hard links): the first run takes {} and computes {} photos; with \
         nothing to do it takes {} and {memory} MiB.",
        rows.len(),
        seconds(first),
        event["nodes"]["features"]["items_computed"],
        seconds(noop),
    ));
    Ok(())
}
