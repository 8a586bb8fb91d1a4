//! Forward passes on the CPU beside onnxruntime and PyTorch.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pipe_cpu::{Isa, Plan, Worker};
use pipe_network::{Weights, network};
use serde_json::{Value, json};

use crate::Failure;
use crate::beside::median;
use crate::machine::machine;
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Networks
    #[arg(long, value_delimiter = ',', default_value = "efficientnet_b0,efficientnet_b4,mobilenet_v2,resnet50")]
    networks: Vec<String>,
    /// A Python with torch, torchvision, onnx, onnxscript and onnxruntime
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Rounds, of which the median counts; both sides take turns
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Measure pipe alone
    #[arg(long)]
    alone: bool,
    /// Write the report into this file, between its marks
    #[arg(long)]
    write: Option<PathBuf>,
}

/// One way to run a network.
#[derive(Debug, Clone)]
struct Setting {
    /// `pipe`, `onnxruntime` or `pytorch`.
    engine: &'static str,
    words: String,
    job: Value,
}

/// How many photos are worked on at once, and on how many threads each.
#[derive(Debug, Clone, Copy)]
struct Work {
    workers: usize,
    threads: usize,
}

impl Work {
    fn is_shared(self) -> bool {
        self.threads > 1
    }

    fn all(self) -> usize {
        self.workers * self.threads
    }
}

pub(crate) fn forward(args: &Args) -> Result<(), Failure> {
    let mut report = Report::default();
    let mut peer = if args.alone { None } else { Some(Peer::start(&args.python)?) };
    let versions = peer.as_mut().map(|peer| peer.ask(&json!({ "versions": true }))).transpose()?;
    let versions = versions.map_or_else(String::new, |versions| {
        format!(
            ", onnxruntime {}, PyTorch {}",
            versions["onnxruntime"].as_str().unwrap_or_default(),
            versions["torch"].as_str().unwrap_or_default()
        )
    });
    report.say(&format!(
        "Forward passes in f32, images a second: {}{versions}. Medians of {} rounds of {} s, in which all take turns. \
         onnxruntime and PyTorch at the best of their settings for as many threads.",
        machine(),
        args.rounds,
        args.seconds
    ));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = Vec::new();
    for name in &args.networks {
        let alone = Work { workers: 1, threads: cores };
        for work in [Work { workers: 1, threads: 1 }, Work { workers: cores, threads: 1 }, alone] {
            rows.push(compare(args, name, work, peer.as_mut())?);
        }
    }
    let isas = Isa::available().into_iter().map(|isa| format!("pipe, {isa}"));
    let header: Vec<String> = ["network", "threads"]
        .map(str::to_owned)
        .into_iter()
        .chain(isas)
        .chain(["onnxruntime", "PyTorch", "pipe / onnxruntime", "pipe / PyTorch"].map(str::to_owned))
        .collect();
    report.table(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
    match &args.write {
        Some(file) => report.write(file, "forward"),
        None => Ok(()),
    }
}

fn compare(args: &Args, name: &str, work: Work, mut peer: Option<&mut Peer>) -> Result<Vec<String>, Failure> {
    let network = network(name).ok_or_else(|| format!("no network {name}"))?;
    let (side, weights) = (network.input_size, Weights::random(&network, 0));
    let plans: Result<Vec<Arc<Plan>>, _> =
        Isa::available().into_iter().map(|isa| Plan::new(&network, &weights, side, side, isa).map(Arc::new)).collect();
    let plans = plans?;
    let mut settings = settings(name, side, work);
    if let Some(peer) = peer.as_deref_mut() {
        settings = candidates(settings, peer)?;
    } else {
        settings.clear();
    }
    let mut rates = vec![Vec::new(); plans.len() + settings.len()];
    for _ in 0..args.rounds {
        for (plan, rates) in plans.iter().zip(&mut rates) {
            rates.push(rate(plan, work, Duration::from_secs_f64(args.seconds)));
        }
        for (setting, rates) in settings.iter().zip(&mut rates[plans.len()..]) {
            let Some(peer) = peer.as_deref_mut() else { continue };
            let mut job = setting.job.clone();
            job["seconds"] = json!(args.seconds);
            rates.push(peer.rate(&job)?);
        }
    }
    let medians: Vec<f64> = rates.into_iter().map(|rates| median(rates).unwrap_or_default()).collect();
    let best = |engine: &str| {
        let of_engine = settings.iter().zip(&medians[plans.len()..]).filter(|(setting, _)| setting.engine == engine);
        of_engine.map(|(setting, rate)| (*rate, setting.words.clone())).max_by(|one, other| one.0.total_cmp(&other.0))
    };
    let (onnx, torch) = (best("onnxruntime"), best("pytorch"));
    let cell = |found: &Option<(f64, String)>| {
        found.as_ref().map_or_else(String::new, |(rate, words)| format!("{rate:.1} ({words})"))
    };
    let ratio = |found: &Option<(f64, String)>| {
        found.as_ref().map_or_else(String::new, |(rate, _)| format!("{:.2}", medians[0] / rate))
    };
    let threads = format!("{}{}", work.all(), if work.is_shared() { " one photo at a time" } else { "" });
    let mut row = vec![format!("{name}, {side}"), threads];
    row.extend(medians[..plans.len()].iter().map(|rate| format!("{rate:.1}")));
    row.extend([cell(&onnx), cell(&torch), ratio(&onnx), ratio(&torch)]);
    eprintln!("{}", row.join(" | "));
    Ok(row)
}

/// The settings that are worth trying.
fn settings(network: &str, side: usize, work: Work) -> Vec<Setting> {
    let threads = work.all();
    let setting = |engine: &'static str, sessions: usize, threads: usize, batch: usize| Setting {
        engine,
        words: if sessions > 1 { format!("{sessions} x 1 thread, batch {batch}") } else { format!("batch {batch}") },
        job: json!({
            "network": network, "size": side, "engine": engine,
            "threads": threads, "sessions": sessions, "batch": batch, "seconds": 0.5,
        }),
    };
    if work.is_shared() {
        return ["onnxruntime", "pytorch"].map(|engine| setting(engine, 1, threads, 1)).to_vec();
    }
    let mut all: Vec<Setting> =
        [("onnxruntime", 1), ("onnxruntime", 8), ("onnxruntime", 32), ("pytorch", 1), ("pytorch", 8), ("pytorch", 32)]
            .map(|(engine, batch)| setting(engine, 1, threads, batch))
            .to_vec();
    if threads > 1 {
        all.push(setting("onnxruntime", threads, 1, 1));
    }
    all
}

/// The two settings of each engine that a short look finds best: the others are not measured further.
fn candidates(settings: Vec<Setting>, peer: &mut Peer) -> Result<Vec<Setting>, Failure> {
    let mut rated = Vec::new();
    for setting in settings {
        rated.push((peer.rate(&setting.job)?, setting));
    }
    rated.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mut chosen: Vec<Setting> = Vec::new();
    for (_, setting) in rated {
        if chosen.iter().filter(|other| other.engine == setting.engine).count() < 2 {
            chosen.push(setting);
        }
    }
    Ok(chosen)
}

/// Images a second.
fn rate(plan: &Arc<Plan>, work: Work, time: Duration) -> f64 {
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..work.workers {
            scope.spawn(|| {
                let mut worker = Worker::new(Arc::clone(plan), work.threads);
                while began.elapsed() < time {
                    worker.features(|channel, y, row| row.fill((channel + y % 7) as f32 * 0.1));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

/// `bench/peers/forward.py`, waiting for work.
struct Peer {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &Path) -> Result<Self, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/forward.py");
        let mut process = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", python.display()))?;
        let to = process.stdin.take().ok_or("no stdin")?;
        let from = BufReader::new(process.stdout.take().ok_or("no stdout")?);
        Ok(Self { process, to, from })
    }

    fn ask(&mut self, job: &Value) -> Result<Value, Failure> {
        writeln!(self.to, "{job}")?;
        let mut line = String::new();
        if self.from.read_line(&mut line)? == 0 {
            return Err(format!("the peer ended at {job}: is all it needs installed?").into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn rate(&mut self, job: &Value) -> Result<f64, Failure> {
        self.ask(job)?["images_per_second"].as_f64().ok_or_else(|| "the peer gave no rate".into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
