//! Kernels for GPUs beside PyTorch's, shape by shape.

use std::path::Path;
use std::process::Command;

use pipe_nn::{Operation, Trial, keep_kernels};

use crate::Failure;
use crate::beside::{Beside, device, median, name, precision_of, told};
use crate::report::Report;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Numbers to compute in
    #[arg(long, value_delimiter = ',', default_value = "f32,bf16")]
    precisions: Vec<String>,
    /// Images at once
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// How often each operation is done in a measurement
    #[arg(long, default_value_t = 50)]
    times: usize,
    #[command(flatten)]
    beside: Beside,
}

/// The depthwise convolutions of EfficientNet-B0 at 224 x 224 (Tan and Le 2019, table 1): channels, side of the
/// maps before, kernel, stride.
const DEPTHWISE: [[usize; 4]; 12] = [
    [32, 112, 3, 1],
    [96, 112, 3, 2],
    [144, 56, 3, 1],
    [144, 56, 5, 2],
    [240, 28, 5, 1],
    [240, 28, 3, 2],
    [480, 14, 3, 1],
    [480, 14, 5, 1],
    [672, 14, 5, 1],
    [672, 14, 5, 2],
    [1152, 7, 5, 1],
    [1152, 7, 3, 1],
];

/// Convolutions without groups, of EfficientNet-B0 and a ResNet: channels, outputs, side, kernel, stride.
const PLAIN: [[usize; 5]; 8] = [
    [3, 32, 224, 3, 2],
    [16, 96, 112, 1, 1],
    [144, 24, 56, 1, 1],
    [80, 480, 14, 1, 1],
    [1152, 192, 7, 1, 1],
    [320, 1280, 7, 1, 1],
    [64, 64, 56, 3, 1],
    [256, 256, 14, 3, 1],
];

/// Maps between them: channels, side.
const MAPS: [[usize; 2]; 4] = [[96, 112], [144, 56], [480, 14], [1152, 7]];

/// Squeeze-and-excitation: channels, numbers between its layers, side.
const SQUEEZED: [[usize; 3]; 4] = [[96, 4, 56], [144, 6, 56], [480, 20, 14], [1152, 48, 7]];

/// An operation's name, as the script knows it, and the maps that it is done to.
fn trials(count: usize) -> Vec<(&'static str, Trial)> {
    let trial = |operation, [channels, outputs, side, kernel, stride]: [usize; 5]| Trial {
        operation,
        count,
        channels,
        outputs,
        side,
        kernel,
        stride,
    };
    let mut trials = Vec::new();
    let of_depthwise = [
        ("depthwise", Operation::Depthwise),
        ("depthwise maps", Operation::DepthwiseMaps),
        ("depthwise weight", Operation::DepthwiseWeight),
    ];
    for (name, operation) in of_depthwise {
        trials.extend(DEPTHWISE.map(|[channels, side, kernel, stride]| {
            (name, trial(operation, [channels, channels, side, kernel, stride]))
        }));
    }
    let of_plain = [
        ("convolve", Operation::Convolve),
        ("convolve fused", Operation::ConvolveFused),
        ("convolve back", Operation::ConvolveBackward),
    ];
    for (name, operation) in of_plain {
        trials.extend(PLAIN.map(|shape| (name, trial(operation, shape))));
    }
    let of_maps = [
        ("shift", Operation::Shift),
        ("shift back", Operation::ShiftBackward),
        ("normalize", Operation::Normalize),
        ("normalize back", Operation::NormalizeBackward),
        ("weigh", Operation::Weigh),
    ];
    for (name, operation) in of_maps {
        trials.extend(MAPS.map(|[channels, side]| (name, trial(operation, [channels, channels, side, 1, 1]))));
    }
    trials.extend(
        SQUEEZED.map(|[channels, squeezed, side]| ("gate", trial(Operation::Gate, [channels, squeezed, side, 1, 1]))),
    );
    trials
}

/// An operation's shape in words.
fn shape(trial: &Trial) -> String {
    let Trial { channels, outputs, side, kernel, stride, .. } = trial;
    let outputs = if outputs == channels { String::new() } else { format!(" to {outputs}") };
    let window = if *kernel == 1 { String::new() } else { format!(", kernel {kernel}, stride {stride}") };
    format!("{channels}{outputs}, {side} x {side}{window}")
}

pub(crate) fn kernels(args: &Args) -> Result<(), Failure> {
    let kept = tempfile::tempdir()?;
    keep_kernels(kept.path());
    let device = device(&args.beside.device)?;
    let trials = trials(args.batch);
    let mut rows = Vec::new();
    for precision in &args.precisions {
        let numbers = precision_of(precision)?;
        if !pipe_nn::supports(device, numbers) {
            println!("{device} does not compute with {precision}");
            continue;
        }
        let (mut ours, mut theirs) = (vec![Vec::new(); trials.len()], vec![Vec::new(); trials.len()]);
        for _ in 0..args.beside.rounds {
            for (seen, (_, trial)) in ours.iter_mut().zip(&trials) {
                let took = trial.time(device, numbers, args.times)?.as_secs_f64();
                seen.push(1e6 * took / args.times as f64);
            }
            if !args.beside.alone {
                theirs.iter_mut().zip(of_torch(args, precision, &trials)?).for_each(|(seen, took)| seen.push(took));
            }
        }
        for (((name, trial), ours), theirs) in trials.iter().zip(ours).zip(theirs) {
            let (ours, theirs) = (median(ours), median(theirs));
            let ratio = ours.zip(theirs).map(|(ours, theirs)| theirs / ours);
            let [ours, theirs, ratio] = [told(ours, 1), told(theirs, 1), told(ratio, 2)];
            rows.push(vec![(*name).to_owned(), shape(trial), precision.clone(), ours, theirs, ratio]);
        }
    }
    let mut report = Report::default();
    report.say(&format!(
        "Kernels on {}, {} images, channels last on both sides: microseconds each, medians of {} rounds in which both \
         take turns; a ratio above 1 means that pipe's is faster.",
        name(device),
        args.batch,
        args.beside.rounds,
    ));
    report.table(&["operation", "maps", "numbers", "pipe, µs", "PyTorch, µs", "PyTorch / pipe"], &rows);
    match &args.beside.write {
        Some(file) => report.write(file, "kernels"),
        None => Ok(()),
    }
}

/// Microseconds that PyTorch takes for each.
fn of_torch(args: &Args, precision: &str, trials: &[(&str, Trial)]) -> Result<Vec<f64>, Failure> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/kernels.py");
    let all = trials.iter().map(|(name, trial)| {
        let Trial { channels, outputs, side, kernel, stride, .. } = trial;
        format!("{name},{channels},{outputs},{side},{kernel},{stride}")
    });
    let mut command = Command::new(&args.beside.python);
    command
        .arg(script)
        .args([&args.beside.device, precision, &args.batch.to_string(), &args.times.to_string()])
        .args(all);
    let out = command.output()?;
    let told = String::from_utf8_lossy(&out.stdout);
    let took: Vec<f64> = told.lines().filter_map(|line| line.trim().parse().ok()).collect();
    if took.len() == trials.len() {
        return Ok(took);
    }
    Err(format!("PyTorch: {}", String::from_utf8_lossy(&out.stderr)).into())
}
