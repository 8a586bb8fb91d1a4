//! What a shell offers when Tab is pressed: commands and options, and the nodes, params and profiles of
//! the pipeline at hand.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Command, CommandFactory};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use pipe_core::Kinds;
use pipe_lang::{Given, Outline, check, outline};

use crate::args::Args;
use crate::project::DEFAULT_FILE;

/// The variable that a shell asks with.
pub(crate) const VARIABLE: &str = "COMPLETE";

/// Answers a shell that asks what might come next, and then ends the program.
pub(crate) fn answer(kinds: &Kinds) {
    let kinds = Arc::new(kinds.clone());
    CompleteEnv::with_factory(|| command(&kinds)).var(VARIABLE).complete();
}

/// The command line with what completes its words.
fn command(kinds: &Arc<Kinds>) -> Command {
    let mut command = Args::command();
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let kinds = kinds.clone();
        command = command.mut_subcommand(name, |sub| completed(sub, &kinds));
    }
    command
}

fn completed(mut command: Command, kinds: &Arc<Kinds>) -> Command {
    let args: Vec<String> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    for arg in args {
        let kinds = kinds.clone();
        let completer = match arg.as_str() {
            "words" => ArgValueCompleter::new(move |current: &OsStr| words(current, &kinds)),
            "kind" => ArgValueCompleter::new(move |current: &OsStr| {
                let specs = kinds.specs().iter();
                matching(current, specs.map(|spec| (spec.name.to_owned(), spec.summary().to_owned())))
            }),
            "set" => ArgValueCompleter::new(|current: &OsStr| {
                let params = at_hand().params;
                matching(current, params.into_iter().map(|param| (format!("{}=", param.name), param.help)))
            }),
            "profile" => ArgValueCompleter::new(|current: &OsStr| {
                let profiles = at_hand().profiles;
                matching(current, profiles.into_iter().map(|name| (name, String::new())))
            }),
            _ => continue,
        };
        command = command.mut_arg(arg, |arg| arg.add(completer));
    }
    command
}

fn matching(current: &OsStr, all: impl Iterator<Item = (String, String)>) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let candidate = |(name, help): (String, String)| {
        let help = (!help.is_empty()).then(|| help.into());
        CompletionCandidate::new(name).help(help)
    };
    all.filter(|(name, _)| name.starts_with(&*current)).map(candidate).collect()
}

/// Pipelines' files, and the nodes of the one that is meant.
fn words(current: &OsStr, kinds: &Kinds) -> Vec<CompletionCandidate> {
    let is_yaml = |path: &Path| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let mut found = PathCompleter::any().filter(move |path| path.is_dir() || is_yaml(path)).complete(current);
    let file = file();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let folder = file.parent().unwrap_or(Path::new(""));
    let checked = check("", &text, folder, &Given::default(), kinds.language());
    // With mistakes in it, the names as they are written.
    let nodes: Vec<(String, String)> = match &checked {
        Ok(pipeline) => {
            pipeline.graph.node_weights().map(|node| (node.name.clone(), node.kind.name.to_owned())).collect()
        }
        Err(_) => outline(&text).nodes.into_iter().map(|name| (name, String::new())).collect(),
    };
    found.extend(matching(current, nodes.into_iter()));
    found
}

/// The file that the words so far name.
fn file() -> PathBuf {
    let words = std::env::args_os().map(PathBuf::from);
    let mut named = words.filter(|word| word.extension().is_some_and(|ending| ending == "yaml" || ending == "yml"));
    named.find(|word| word.is_file()).unwrap_or_else(|| DEFAULT_FILE.into())
}

fn at_hand() -> Outline {
    outline(&std::fs::read_to_string(file()).unwrap_or_default())
}
