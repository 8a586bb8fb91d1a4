//! Measuring on a device beside PyTorch.

use std::path::PathBuf;

use pipe_nn::{ComputeDevice, Precision};

use crate::Failure;

/// What every such command is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Beside {
    /// cuda, cuda:N, wgpu, wgpu:N or cpu; PyTorch takes its CPU beside the last three
    #[arg(long, default_value = "cuda")]
    pub(crate) device: String,
    /// A Python with torch and torchvision that know the GPU
    #[arg(long, default_value = "python3")]
    pub(crate) python: PathBuf,
    /// Measure pipe alone
    #[arg(long)]
    pub(crate) alone: bool,
    /// Rounds, of which the median counts; both sides take turns
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: usize,
    /// Write the report into this file, between its marks
    #[arg(long)]
    pub(crate) write: Option<PathBuf>,
}

pub(crate) fn device(text: &str) -> Result<ComputeDevice, Failure> {
    let (family, number) = text.split_once(':').unwrap_or((text, "0"));
    let number = number.parse()?;
    Ok(match family {
        "cuda" => ComputeDevice::cuda(number)?,
        "wgpu" => ComputeDevice::wgpu(number)?,
        "cpu" => ComputeDevice::Cpu,
        _ => return Err(format!("no device {text}").into()),
    })
}

pub(crate) fn name(device: ComputeDevice) -> String {
    let all = match device {
        ComputeDevice::Cuda(number) => pipe_nn::cuda_devices().ok().map(|all| (number, all)),
        _ => None,
    };
    let told = all.and_then(|(number, all)| all.into_iter().nth(number));
    told.map_or_else(|| device.to_string(), |info| info.text)
}

pub(crate) fn precision_of(text: &str) -> Result<Precision, Failure> {
    Ok(match text {
        "f32" => Precision::F32,
        "tf32" => Precision::Tf32,
        "f16" => Precision::F16,
        "bf16" => Precision::Bf16,
        _ => return Err(format!("no precision {text}").into()),
    })
}

/// The middle one; `None` of none.
pub(crate) fn median(mut seen: Vec<f64>) -> Option<f64> {
    seen.sort_by(f64::total_cmp);
    seen.get(seen.len() / 2).copied()
}

/// With so many digits behind the point, or a dash where nothing was measured.
pub(crate) fn told(number: Option<f64>, digits: usize) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.digits$}"))
}
