//! From photos to pixels and to features, beside Pillow, OpenCV and PyTorch.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{median, memory_of, pipe as run_pipe};
use crate::machine::machine;
use crate::report::Report;
use crate::{Failure, photos, pipe, program};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Photos that are made
    #[arg(long, default_value_t = 1500)]
    count: usize,
    /// A folder with label.csv and objects, instead of photos that are made
    #[arg(long)]
    photos: Option<PathBuf>,
    /// The network; torchvision's `features` followed by a mean are what PyTorch computes
    #[arg(long, default_value = "efficientnet_b0")]
    network: String,
    /// A Python with torch, torchvision, pillow and opencv-python-headless
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// A Python with tensorflow; without it Keras does not take part
    #[arg(long)]
    keras: Option<PathBuf>,
    /// Rounds, of which the median counts; all take turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Write the report into this file, between its marks
    #[arg(long)]
    write: Option<PathBuf>,
}

const SIZE: usize = 224;

pub(crate) fn features(args: &Args) -> Result<(), Failure> {
    let (program, dropping) = (pipe()?, program("pipe-dropping")?);
    let folder = tempfile::tempdir()?;
    let data = match &args.photos {
        Some(data) => data.canonicalize()?,
        None => {
            let rows = photos::write(folder.path(), 0, args.count)?;
            photos::table(folder.path(), &rows)?;
            folder.path().to_owned()
        }
    };
    let count = fs::read_to_string(data.join("label.csv"))?.lines().count() - 1;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut times: [Vec<Duration>; 7] = Default::default();
    for _ in 0..args.rounds {
        times[0].push(ours(&dropping, folder.path(), &data, &args.network, Last::Dropped)?);
        times[1].push(theirs(args, &args.python, &data, "pillow", cores)?);
        times[2].push(theirs(args, &args.python, &data, "opencv", cores)?);
        times[3].push(ours(&program, folder.path(), &data, &args.network, Last::Features)?);
        times[4].push(theirs(args, &args.python, &data, "pytorch", cores)?);
        if let Some(python) = &args.keras {
            times[5].push(theirs(args, python, &data, "keras", cores)?);
        }
        times[6].push(ours(&program, folder.path(), &data, &args.network, Last::Images)?);
    }
    let memory = memory_of(&program, &fresh(folder.path(), &data, &args.network, Last::Features)?)?;
    let [pixels, pillow, opencv, features, pytorch, keras, images] =
        times.map(|times| (!times.is_empty()).then(|| median(times)));
    let mut report = Report::default();
    report.say(&format!(
        "{count} photos on {cores} cores, medians of {} rounds in which all take turns: {}. Times of pipe are those of the \
         whole command with an empty store; the others' are without the start of Python and its libraries.",
        args.rounds,
        machine()
    ));
    let row = |what: &str, who: &str, time: Option<Duration>, base: Option<Duration>| {
        let (time, base) = time.zip(base)?;
        let rate = format!("{:.0}", count as f64 / time.as_secs_f64());
        let times = format!("{:.2}", time.as_secs_f64() / base.as_secs_f64());
        Some(vec![what.to_owned(), who.to_owned(), rate, times])
    };
    let (decoded, vectors) = (format!("decoded, {SIZE} x {SIZE}"), format!("features of {}", args.network));
    let rows = [
        row(&decoded, "pipe", pixels, pixels),
        row(&decoded, "pipe, pixels hashed and stored", images, pixels),
        row(&decoded, "Pillow", pillow, pixels),
        row(&decoded, "OpenCV", opencv, pixels),
        row(&vectors, "pipe", features, features),
        row(&vectors, "PyTorch, DataLoader", pytorch, features),
        row(&vectors, "Keras, tf.data", keras, features),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().flatten().collect();
    report.table(&["photos to", "with", "photos a second", "pipe is so many times as fast"], &rows);
    report.say(&format!("Greatest memory of pipe, to features: {} MiB.", memory / 1024));
    match &args.write {
        Some(file) => report.write(file, "features"),
        None => Ok(()),
    }
}

/// What a pipeline ends with.
#[derive(Clone, Copy)]
enum Last {
    /// Images, of which only the sizes are kept.
    Dropped,
    /// Images, which are kept.
    Images,
    Features,
}

/// A folder with a pipeline and no store.
fn fresh(folder: &Path, data: &Path, network: &str, last: Last) -> Result<PathBuf, Failure> {
    let place = folder.join("project");
    if place.exists() {
        fs::remove_dir_all(&place)?;
    }
    fs::create_dir_all(place.join(".pipe"))?;
    let data = data.display();
    let (keep, behind) = match last {
        Last::Images => (true, String::new()),
        Last::Dropped => (false, "  bytes: { kind: bench.drop, from: images }\n".to_owned()),
        Last::Features => (
            false,
            format!(
                "  features: {{ kind: features.backbone, from: images, with: {{ model: {network}, weights: random, \
                 normalize: imagenet }} }}\n"
            ),
        ),
    };
    let text = format!(
        "nodes:\n  labels: {{ kind: dataset.csv, with: {{ labels: {data}/label.csv, objects: [{data}/objects] }} }}\n  \
         images: {{ kind: preprocess.image, from: labels, with: {{ size: {SIZE} }}, keep: {keep} }}\n{behind}"
    );
    fs::write(place.join("pipe.yaml"), text)?;
    Ok(place)
}

fn ours(program: &Path, folder: &Path, data: &Path, network: &str, last: Last) -> Result<Duration, Failure> {
    run_pipe(program, &fresh(folder, data, network, last)?, &[]).map(|(took, _)| took)
}

fn theirs(args: &Args, python: &Path, data: &Path, way: &str, cores: usize) -> Result<Duration, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/features.py");
    let mut command = Command::new(python);
    command.arg(script).arg(way).arg(data.join("objects")).arg(&args.network);
    let out = command.arg(SIZE.to_string()).arg(cores.to_string()).output()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let seconds: f64 = text.trim().parse().map_err(|_| format!("{way}: {}", String::from_utf8_lossy(&out.stderr)))?;
    Ok(Duration::from_secs_f64(seconds))
}
