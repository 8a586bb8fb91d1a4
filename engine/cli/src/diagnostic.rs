//! Draws mistakes for people.

use console::Term;
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, JSONReportHandler};
use pipe_lang::Problem;
use pipe_store::StoreError;

use crate::project::Unusable;
use crate::{Stop, output};

/// The width where stderr is no terminal, in columns.
const WIDTH: usize = 100;

/// Writes problems to stderr.
pub(crate) fn print(problems: &[Problem]) {
    for problem in problems {
        output::message(&draw(problem));
    }
    if problems.len() > 1 {
        output::message(&format!("{} mistakes\n", problems.len()));
    }
}

/// Writes a plain message and what to do about it to stderr.
pub(crate) fn error(message: &str, hint: Option<&str>) {
    let red = console::style("error:").for_stderr().red().bold();
    output::message(&format!("{red} {message}\n"));
    if let Some(hint) = hint {
        output::message(&format!("{} {hint}\n", console::style("hint:").for_stderr().cyan()));
    }
}

/// Writes to stderr what is not as it should be, though the work is done.
pub(crate) fn warning(message: &str, hint: &str) {
    let yellow = console::style("warning:").for_stderr().yellow().bold();
    output::message(&format!("{yellow} {message}\n{} {hint}\n", console::style("hint:").for_stderr().cyan()));
}

/// Tells what went wrong with the store.
pub(crate) fn store(failed: &StoreError) -> Stop {
    print(&[Problem::placeless("pipe::store", failed.to_string()).help(failed.help())]);
    Stop::Failed
}

/// Tells why a pipeline cannot be used.
pub(crate) fn unusable(unusable: &Unusable) -> Stop {
    match unusable {
        Unusable::Problems(problems) => print(&problems.0),
        Unusable::Message { message, hint } => error(message, hint.as_deref()),
        Unusable::Store(failed) => return store(failed),
    }
    Stop::Mistake
}

/// A problem as JSON, as miette has it.
pub(crate) fn json(problem: &Problem) -> serde_json::Value {
    let mut text = String::new();
    let drawn = JSONReportHandler::new().render_report(&mut text, problem as &dyn Diagnostic);
    drawn.ok().and_then(|()| serde_json::from_str(&text).ok()).unwrap_or_default()
}

fn draw(problem: &Problem) -> String {
    let term = Term::stderr();
    let colours = console::colors_enabled_stderr() && term.is_term();
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let width = term.size_checked().map_or(WIDTH, |(_, columns)| usize::from(columns));
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width).with_links(false);
    match handler.render_report(&mut text, problem as &dyn Diagnostic) {
        Ok(()) => text,
        Err(_) => format!("{problem}\n"),
    }
}
