//! Did you mean.

/// The candidate nearest to a mistyped word, if one is near enough to be meant.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &&str| strsim::damerau_levenshtein(word, candidate);
    let best = candidates.into_iter().min_by_key(near)?;
    let allowed = 1 + word.chars().count().max(best.chars().count()) / 4;
    (near(&best) <= allowed).then_some(best)
}

/// `did you mean `x`?`, or the list of what there is.
pub(crate) fn help<'a>(word: &str, what: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    if let Some(best) = closest(word, candidates.clone()) {
        return format!("did you mean `{best}`?");
    }
    listed(what, candidates)
}

/// The longest list of names.
const LISTED: usize = 20;

/// The names of what there is, the first of them where there are many.
pub fn listed<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    match (names.as_slice(), more) {
        ([], _) => format!("there are no {what}"),
        (names, 0) => format!("{what}: {}", names.join(", ")),
        (names, more) => format!("{what}: {} and {more} more", names.join(", ")),
    }
}
