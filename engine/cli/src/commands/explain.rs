//! `pipe explain`.

use crate::args::ExplainArgs;
use crate::{Stop, diagnostic, output};

const PAGE: &str = include_str!("../../../../docs/errors.md");

/// Prints what is known of a mistake's code, with an example that brings it about and one that does not.
pub(crate) fn explain(args: &ExplainArgs) -> Result<(), Stop> {
    let codes = PAGE.split("\n## ").skip(1).filter_map(|part| Some((part.lines().next()?, part)));
    let Some(code) = &args.code else {
        return output::result(&codes.map(|(code, _)| format!("{code}\n")).collect::<String>());
    };
    let wanted = code.strip_prefix("pipe::").unwrap_or(code);
    let found = codes.clone().find(|(code, _)| code.strip_prefix("pipe::") == Some(wanted));
    if let Some((_, part)) = found {
        return output::result(&format!("{}\n", part.trim_end()));
    }
    let names = codes.clone().map(|(code, _)| code);
    let near = pipe_lang::closest(&format!("pipe::{wanted}"), names.clone());
    let all = || format!("codes: {}", names.collect::<Vec<_>>().join(", "));
    let hint = near.map_or_else(all, |near| format!("did you mean `{near}`?"));
    diagnostic::error(&format!("there is no code `{code}`"), Some(&hint));
    Err(Stop::Mistake)
}
