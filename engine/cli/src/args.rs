//! What may be written on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use pipe_core::Device;

/// Runs machine-learning pipelines written in YAML, and only what changed.
#[derive(Debug, Parser)]
#[command(name = "pipe", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  pipe init                        write a commented starter pipeline, pipe.yaml
  pipe run                         run pipe.yaml; run it again and nothing is left to do
  pipe run other.yaml head         only the node `head` and what it needs
  pipe run --set epochs=20         with another value of a param
  pipe why head --set epochs=20    what would run, and which field made it so
  pipe show eval                   the metrics of the last run

In every command a first word that ends in .yaml or .yml is the pipeline's file; pipe.yaml
otherwise. Exit codes: 0 done, 1 a run failed, 2 a mistake in the file or on the command line,
130 interrupted.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline; take from the store what it has
    #[command(after_help = "\
Examples:
  pipe run
  pipe run pipelines/containers.yaml --set data=../photos --device cuda
  pipe run head --set epochs=20
  pipe run --format json | tail -1     the last event sums the run up")]
    Run(RunArgs),
    /// Tell what would run, and why
    Plan(QueryArgs),
    /// Explain why a node would run, or why it ran
    #[command(after_help = "\
Examples:
  pipe why head
  pipe why head --set epochs=20")]
    Why(QueryArgs),
    /// Show what an artifact of the last run holds
    #[command(after_help = "\
Examples:
  pipe show eval                    metrics
  pipe show head                    a model's layers and parameters
  pipe show head.history            the second output of a node, by its name
  pipe show split --format csv      a whole table")]
    Show(ShowArgs),
    /// Read a pipeline and report every mistake in it
    Check(QueryArgs),
    /// List the kinds of nodes, or document one
    Nodes(NodesArgs),
    /// Write a commented starter pipeline
    Init(InitArgs),
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How an artifact is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ArtifactFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For spreadsheets; tables only
    Csv,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FileArgs {
    /// The pipeline's file (pipe.yaml), then nodes
    #[arg(value_name = "FILE|NODE")]
    pub(crate) words: Vec<String>,
    /// Give a param another value
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, env = "PIPE_DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Threads to use [default: one a core]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Run what does not need a failed node
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// How to tell what happens; json prints one event a line
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ArtifactFormat,
    /// Rows of a table to show; csv and json show all
    #[arg(long, short = 'n', default_value = "10")]
    pub(crate) rows: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct NodesArgs {
    /// The kind to document
    pub(crate) kind: Option<String>,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(default_value = "pipe.yaml")]
    pub(crate) file: PathBuf,
}
