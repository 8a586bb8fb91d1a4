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
  pipe why head --set epochs=20
  pipe why features --item 00002562b454e833e61233eadc2f883a22ad3853.jpg")]
    Why(WhyArgs),
    /// Show what an artifact of the last run holds, or what a run did
    #[command(after_help = "\
Examples:
  pipe show eval                    metrics
  pipe show head                    a model's layers and parameters
  pipe show head.history            the second output of a node, by its name
  pipe show split --format csv      a whole table
  pipe show last                    the last run; last~1 the one before it
  pipe show head --log              what the node's command wrote")]
    Show(ShowArgs),
    /// Tell what is cached, what would run, and how large the store is
    Status(QueryArgs),
    /// List the runs of a pipeline, the newest first
    Log(LogArgs),
    /// Compare two runs: params, metrics, and the nodes whose results differ
    #[command(after_help = "\
Examples:
  pipe diff                     the last run and the one before it
  pipe diff last~3 last         an older run and the last
  pipe diff 20261123T1405 last  a run by the beginning of its id")]
    Diff(DiffArgs),
    /// Write an artifact out as ordinary files: csv, images, safetensors, json
    #[command(after_help = "\
Examples:
  pipe restore split                  writes split.csv
  pipe restore head.model model       writes model/model.json and the weights beside it")]
    Restore(RestoreArgs),
    /// Forget what nodes gave, so that they run again
    Clean(CleanArgs),
    /// Read a pipeline and report every mistake in it
    Check(QueryArgs),
    /// List the kinds of nodes, or document one
    Nodes(NodesArgs),
    /// List the networks that nodes know, or show one: its layers, its usual weights
    Models(ModelsArgs),
    /// Explain the code of a mistake, with examples
    Explain(ExplainArgs),
    /// Draw a pipeline: what is cached, what would run, what flows where
    #[command(after_help = "\
Examples:
  pipe graph -o graph.html              a page that works offline
  pipe graph --format svg -o graph.svg
  pipe graph --format mermaid           for a README")]
    Graph(GraphArgs),
    /// Print a pipeline as plain nodes: sub-pipelines, matrices and params put in
    Expand(FileOnlyArgs),
    /// Lay a pipeline's file out, comments kept
    Fmt(FmtArgs),
    /// Print the JSON Schema of the language, for editors
    Schema,
    /// Write a commented starter pipeline
    Init(InitArgs),
    /// Take away what no kept run gave
    #[command(after_help = "\
One of --keep-runs, --older-than and --max-size. Without any the last 10 runs of each pipeline are kept; the last run of each and those that are
pinned always are. The record of every run stays, its metrics too: only what it gave goes. Waits until nobody uses the store.")]
    Gc(GcArgs),
    /// Keep what a run gave from `pipe gc`
    Pin(PinArgs),
    /// Look at the store itself
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print what a shell runs to complete words at Tab
    #[command(after_help = "\
Examples:
  source <(pipe completions bash)                                 in ~/.bashrc
  source <(pipe completions zsh)                                  in ~/.zshrc
  pipe completions fish | source                                  in ~/.config/fish/config.fish
  pipe completions powershell | Out-String | Invoke-Expression    in $PROFILE")]
    Completions(CompletionsArgs),
    /// Look at the machine: devices, memory, the store
    #[command(after_help = "\
On every GPU a small product is computed and checked. Exit code 1 where something is there and does not work.")]
    Doctor(DoctorArgs),
    /// Write man pages
    Man(ManArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Tell where the store is and what lies in it
    Info(InfoArgs),
    /// Read everything in the store and name what is damaged
    Verify(VerifyArgs),
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
    #[command(flatten)]
    pub(crate) given: GivenArgs,
}

/// What is given to a pipeline from outside.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct GivenArgs {
    /// Give a param another value
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Take the values of params from a YAML file
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Vec<PathBuf>,
    /// Take the values of params from a profile of the pipeline
    #[arg(long, short = 'p', value_name = "NAME")]
    pub(crate) profile: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Read every file anew, whatever its times say
    #[arg(long)]
    pub(crate) rehash: bool,
    /// Where to compute: auto, cpu, cuda[:N] or wgpu[:N]
    #[arg(long, env = "PIPE_DEVICE", default_value = "auto")]
    pub(crate) device: Device,
    /// Threads to use [default: one a core]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Run again whenever a file that matters changes, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
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
    /// Read every file anew, whatever its times say
    #[arg(long)]
    pub(crate) rehash: bool,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    pub(crate) query: QueryArgs,
    /// Explain one item of a node that works item by item
    #[arg(long, value_name = "ID")]
    pub(crate) item: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// Runs of every pipeline in the store
    #[arg(long)]
    pub(crate) all: bool,
    /// How many runs to list
    #[arg(long, short = 'n', default_value = "20")]
    pub(crate) runs: usize,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The pipeline's file (pipe.yaml), then two runs
    #[arg(value_name = "FILE|RUN")]
    pub(crate) words: Vec<String>,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct PinArgs {
    /// The pipeline's file (pipe.yaml), then runs
    #[arg(value_name = "FILE|RUN")]
    pub(crate) words: Vec<String>,
    /// No longer keep it
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The pipeline's file (pipe.yaml), then NODE or NODE.OUTPUT, then where to write it
    #[arg(value_name = "FILE|NODE|TO")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) given: GivenArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CleanArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) info: InfoArgs,
    /// Compute something small on one device, in this process
    #[arg(long, hide = true)]
    pub(crate) attempt: Option<Device>,
}

#[derive(Debug, clap::Args)]
#[group(multiple = false)]
pub(crate) struct GcKeep {
    /// Keep the last N runs of each pipeline [default: 10]
    #[arg(long, value_name = "N")]
    pub(crate) keep_runs: Option<usize>,
    /// Keep runs that are younger: 30d, 12h, 2w
    #[arg(long, value_name = "AGE", value_parser = crate::number::age)]
    pub(crate) older_than: Option<u64>,
    /// Keep as many of the newest runs as fit: 50GB, 500MB
    #[arg(long, value_name = "SIZE", value_parser = crate::number::size)]
    pub(crate) max_size: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    #[command(flatten)]
    pub(crate) keep: GcKeep,
    /// Only tell what would be taken away
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) info: InfoArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InfoArgs {
    /// The pipeline's file whose store is meant [default: pipe.yaml]
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) info: InfoArgs,
    /// Drop what is damaged, so that it is computed again
    #[arg(long)]
    pub(crate) repair: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: ArtifactFormat,
    /// Show what the node's command wrote to its terminal
    #[arg(long)]
    pub(crate) log: bool,
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
pub(crate) struct ModelsArgs {
    /// The network to show
    pub(crate) model: Option<String>,
    /// How to write the result
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The code, `pipe::cycle` or `cycle`; without one all are listed
    pub(crate) code: Option<String>,
}

/// A picture's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// For Markdown pages
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
    /// A page that works offline
    Html,
}

#[derive(Debug, clap::Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    /// What to draw; by default what the file's ending says, or mermaid
    #[arg(long, value_enum)]
    pub(crate) format: Option<GraphFormat>,
    /// The file to write, rather than stdout
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

impl GraphArgs {
    /// The format that is asked for, or that the file's ending says.
    /// `None` where the ending says nothing.
    pub(crate) fn format(&self) -> Option<GraphFormat> {
        let ending = self.output.as_ref().map(|file| file.extension().and_then(|ending| ending.to_str()));
        self.format.or(match ending {
            None | Some(Some("mmd" | "mermaid")) => Some(GraphFormat::Mermaid),
            Some(Some("html" | "htm")) => Some(GraphFormat::Html),
            Some(Some("svg")) => Some(GraphFormat::Svg),
            Some(Some("dot" | "gv")) => Some(GraphFormat::Dot),
            Some(_) => None,
        })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct FileOnlyArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FmtArgs {
    /// The files [default: pipe.yaml]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Only tell which files are not laid out so; exit code 1 if there are any
    #[arg(long)]
    pub(crate) check: bool,
}

/// A shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

impl Shell {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Elvish => "elvish",
            Self::Fish => "fish",
            Self::Powershell => "powershell",
            Self::Zsh => "zsh",
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The folder to write a page for each command into; without one, the program's page to stdout
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct InitArgs {
    /// The file to write
    #[arg(default_value = "pipe.yaml")]
    pub(crate) file: PathBuf,
}
