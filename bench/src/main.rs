//! Measures pipe beside other tools, both sides in one run.
//!
//! `cargo build --release && cargo run --release -p pipe-bench -- cache` measures the cache. Other
//! tools take part where they are installed: `bench/peers/README.md` says how.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person")]

mod beside;
mod cache;
mod command;
mod features;
mod forward;
mod gpu;
mod kernels;
mod lookups;
mod machine;
mod nodes;
mod peer;
mod photos;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "pipe-bench", about = "Measures pipe beside other tools, both sides in one run")]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The cache: nothing to do, a hundred photos more, a thousand small nodes
    Cache(cache::Args),
    /// From photos to pixels and to features: Pillow, OpenCV and PyTorch beside it
    Features(features::Args),
    /// Forward passes on the CPU: onnxruntime and PyTorch beside it
    Forward(forward::Args),
    /// Features and training on a GPU: PyTorch beside it
    Gpu(gpu::Args),
    /// Kernels for GPUs, shape by shape: PyTorch beside them
    Kernels(kernels::Args),
    /// Runs a command and prints its greatest memory in KiB as the last line
    #[command(hide = true)]
    Memory {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
}

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let done = match Args::parse().what {
        What::Cache(args) => cache::cache(&args),
        What::Features(args) => features::features(&args),
        What::Forward(args) => forward::forward(&args),
        What::Gpu(args) => gpu::gpu(&args),
        What::Kernels(args) => kernels::kernels(&args),
        What::Memory { command } => command::memory(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The program that is measured: the one beside this one, built in the same profile.
fn pipe() -> Result<PathBuf, Failure> {
    program("pipe")
}

/// A program that lies beside this one.
fn program(name: &str) -> Result<PathBuf, Failure> {
    let beside = std::env::current_exe()?.with_file_name(name);
    if beside.is_file() {
        return Ok(beside);
    }
    Err(format!("{} is not there: build it with `cargo build --release --workspace`", beside.display()).into())
}
