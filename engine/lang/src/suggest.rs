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
    let all: Vec<String> = candidates.map(|candidate| format!("`{candidate}`")).collect();
    if all.is_empty() { format!("there are no {what}") } else { format!("{what}: {}", all.join(", ")) }
}
