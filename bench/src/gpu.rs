//! Features and training on a GPU beside PyTorch.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use pipe_network::{Network, Weights, network};
use pipe_nn::{
    Adam, Backbone, ComputeDevice, Descent, Head, HeadTraining, Images, PixelScale, Rows, Step, Tuner, Tuning,
    keep_kernels, train_head,
};
use pipe_store::Store;

use crate::beside::{Beside, device, median, name, precision_of, told};
use crate::machine::machine;
use crate::report::Report;
use crate::{Failure, photos, pipe};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The network
    #[arg(long, default_value = "efficientnet_b0")]
    network: String,
    /// Numbers to compute in
    #[arg(long, value_delimiter = ',', default_value = "f32,tf32,bf16")]
    precisions: Vec<String>,
    /// What is measured
    #[arg(long, value_delimiter = ',', default_value = "features,photos,head,tuning")]
    what: Vec<String>,
    /// Images at once, for features; a quarter of them in training
    #[arg(long, default_value_t = 512)]
    batch: usize,
    /// Batches of each measurement
    #[arg(long, default_value_t = 20)]
    batches: usize,
    /// Photos that are made for the way from photos to features
    #[arg(long, default_value_t = 8192)]
    photos: usize,
    #[command(flatten)]
    beside: Beside,
}

/// The rows of the article's train split, and the length of their features.
const ROWS: usize = 19_658;
const FEATURES: usize = 1280;

pub(crate) fn gpu(args: &Args) -> Result<(), Failure> {
    let kernels = tempfile::tempdir()?;
    keep_kernels(kernels.path());
    let device = device(&args.beside.device)?;
    let network = network(&args.network).ok_or_else(|| format!("no network {}", args.network))?;
    let mut rows = Vec::new();
    let wants = |what: &str| args.what.iter().any(|word| word == what);
    for precision in &args.precisions {
        if !pipe_nn::supports(device, precision_of(precision)?) {
            println!("{device} does not compute with {precision}");
            continue;
        }
        if wants("features") {
            rows.push(compare(args, "features", precision, None, &|| features(args, &network, device, precision))?);
        }
        if wants("tuning") {
            rows.push(compare(args, "tuning", precision, None, &|| tuning(args, &network, device, precision))?);
        }
    }
    if wants("head") {
        rows.push(compare(args, "head", "f32", None, &|| head(device))?);
    }
    if wants("photos") {
        let folder = tempfile::tempdir()?;
        let table = photos::write(folder.path(), 0, args.photos)?;
        photos::table(folder.path(), &table)?;
        for precision in &args.precisions {
            if pipe_nn::supports(device, precision_of(precision)?) {
                let ours = || of_photos(args, precision, folder.path(), kernels.path());
                // Kernels are compiled and chosen, as PyTorch's are before its clock starts.
                ours()?;
                rows.push(compare(args, "photos", precision, Some(folder.path()), &ours)?);
            }
        }
    }
    let mut report = Report::default();
    report.say(&format!(
        "{} on {}: {}. Medians of {} rounds in which both take turns. `features`: {} images at once that lie \
         on the device already. `tuning`: steps of AdamW on {} images. `head`: the article's 10 epochs on {ROWS} rows of \
         {FEATURES} features. `photos`: from JPEGs to features, all of the command with a store that has nothing but \
         kernels; PyTorch without its start, with the best number of workers.",
        args.network,
        name(device),
        machine(),
        args.beside.rounds,
        args.batch,
        args.batch / 4,
    ));
    report.table(&["what", "numbers", "pipe, a second", "PyTorch, a second", "pipe / PyTorch"], &rows);
    match &args.beside.write {
        Some(file) => report.write(file, "gpu"),
        None => Ok(()),
    }
}

/// Both sides of a measurement, each as things a second.
fn compare(
    args: &Args,
    what: &str,
    precision: &str,
    data: Option<&Path>,
    ours: &dyn Fn() -> Result<f64, Failure>,
) -> Result<Vec<String>, Failure> {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..args.beside.rounds {
        rates[0].push(ours()?);
        if !args.beside.alone {
            rates[1].push(theirs(args, what, precision, data)?);
        }
    }
    Ok(row(what, precision, rates))
}

fn row(what: &str, precision: &str, rates: [Vec<f64>; 2]) -> Vec<String> {
    let [ours, theirs] = rates.map(median);
    let ratio = ours.zip(theirs).map(|(ours, theirs)| ours / theirs);
    vec![what.to_owned(), precision.to_owned(), told(ours, 1), told(theirs, 1), told(ratio, 2)]
}

/// Pixels that look like chance.
fn pixels(count: usize, side: usize) -> Vec<u8> {
    (0..count * side * side * 3).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// Images a second.
fn features(args: &Args, network: &Network, device: ComputeDevice, precision: &str) -> Result<f64, Failure> {
    let (side, weights) = (network.input_size, Weights::random(network, 0).without_classifier(network));
    let backbone = Backbone::new(network, &weights, device, precision_of(precision)?);
    let took = backbone.measure(&pixels(args.batch, side), [args.batch, side, side], args.batches)?;
    Ok((args.batch * args.batches) as f64 / took.as_secs_f64())
}

/// Images a second.
fn tuning(args: &Args, network: &Network, device: ComputeDevice, precision: &str) -> Result<f64, Failure> {
    let (side, count) = (network.input_size, args.batch / 4);
    let weights = Weights::random(network, 0).without_classifier(network);
    let descent = Descent::AdamW { betas: (0.9, 0.999), eps: 1e-8 };
    let precision = precision_of(precision)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tuning = Tuning { descent, weight_decay: 0.01, batch_statistics: true, freeze: 0, precision, threads };
    let scale = PixelScale { mean: [0.5; 3], std: [0.25; 3] };
    let mut tuner = Tuner::new(network, &weights, &Head::zeros(2, network.features), scale, &tuning, &[device]);
    let (pixels, labels) = (pixels(count, side), (0..count).map(|row| row % 2).collect::<Vec<_>>());
    let ones = vec![1.0; count];
    let size = [count, side, side];
    let step = Step { images: Images::Pixels(&pixels), size, labels: &labels, weights: &ones, dropout: None, lr: 1e-4 };
    tuner.step(&step)?;
    tuner.seen()?;
    let began = Instant::now();
    (0..args.batches).try_for_each(|_| tuner.step(&step))?;
    tuner.seen()?;
    Ok((count * args.batches) as f64 / began.elapsed().as_secs_f64())
}

/// Rows a second, over 10 epochs.
fn head(device: ComputeDevice) -> Result<f64, Failure> {
    let numbers = |at: usize| (at.wrapping_mul(2_654_435_761) >> 9) as u16 as f32 / 65_536.0;
    let features: Vec<f32> = (0..ROWS * FEATURES).map(numbers).collect();
    let labels: Vec<usize> = (0..ROWS).map(|row| row % 2).collect();
    let train = Rows { features: &features, labels: &labels };
    let validation = Rows { features: &[], labels: &[] };
    let adam = Adam { lr: 0.001, betas: (0.9, 0.999), eps: 1e-8 };
    let training = HeadTraining { batch_size: 512, adam, train, validation };
    let run = |epochs: usize| {
        let mut orders = (0..epochs).map(|_| (0..ROWS).collect());
        train_head(device, Head::zeros(2, FEATURES), &training, &mut orders, &mut |_| true).map(drop)
    };
    // Kernels are compiled.
    run(1)?;
    let began = Instant::now();
    run(10)?;
    Ok((10 * ROWS) as f64 / began.elapsed().as_secs_f64())
}

/// Photos a second, by the whole command, into a store that has nothing but kernels.
fn of_photos(args: &Args, precision: &str, data: &Path, kernels: &Path) -> Result<f64, Failure> {
    let project = tempfile::tempdir()?;
    let store = project.path().join("store");
    symlink(kernels, Store::open(&store)?.root().join("kernels"))?;
    let (data, network) = (data.display(), &args.network);
    let text = format!(
        "nodes:\n  labels: {{ kind: dataset.csv, with: {{ labels: {data}/label.csv, objects: [{data}/objects] }} }}\n  \
         images: {{ kind: preprocess.image, from: labels, with: {{ size: 224 }} }}\n  \
         features: {{ kind: features.backbone, from: images, with: {{ model: {network}, weights: random, \
         normalize: imagenet, precision: {precision} }} }}\n"
    );
    fs::write(project.path().join("pipe.yaml"), text)?;
    let began = Instant::now();
    let ran = Command::new(pipe()?)
        .args(["run", "--device", &args.beside.device])
        .env("PIPE_STORE", &store)
        .current_dir(project.path())
        .output()?;
    let took = began.elapsed();
    if !ran.status.success() {
        return Err(String::from_utf8_lossy(&ran.stderr).into());
    }
    Ok(args.photos as f64 / took.as_secs_f64())
}

/// What the script prints: things a second.
fn theirs(args: &Args, what: &str, precision: &str, data: Option<&Path>) -> Result<f64, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/gpu.py");
    let batch = if what == "tuning" { args.batch / 4 } else { args.batch };
    let mut command = Command::new(&args.beside.python);
    command.arg(script).args([what, &args.beside.device, precision, &args.network]);
    command.args([batch.to_string(), args.batches.to_string()]).args(data.map(|data| data.join("objects")));
    let out = command.output()?;
    let last = String::from_utf8_lossy(&out.stdout).lines().last().unwrap_or_default().trim().to_owned();
    last.parse().map_err(|_| format!("PyTorch, {what}: {}", String::from_utf8_lossy(&out.stderr)).into())
}
