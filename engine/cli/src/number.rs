//! Numbers for people.

/// `2,386`.
pub(crate) fn count(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join(",")
}

/// `1 node`, `2,386 nodes`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `0.004 s`, `0.02 s`, `12.3 s`, `4 min 05 s`, `2 h 10 min`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0 if seconds < 0.01 => format!("{:.3} s", seconds.max(0.001)),
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `512 B`, `3.4 MB`: powers of a thousand.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for larger in units {
        if value < 999.5 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "B" || value >= 99.95 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Reads `30d`, `12h`, `2w`, `90m` as seconds.
pub(crate) fn age(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" | "" => 86_400,
        "w" => 7 * 86_400,
        _ => return Err("write a number and s, m, h, d or w, such as 30d".to_owned()),
    };
    scaled(number, seconds).ok_or_else(|| "write a number and s, m, h, d or w, such as 30d".to_owned())
}

/// Reads `50GB`, `500 MB`, `1GiB` as bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "t" | "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("write a number and kB, MB, GB or TB, such as 50GB".to_owned()),
    };
    scaled(number, factor).ok_or_else(|| "write a number and kB, MB, GB or TB, such as 50GB".to_owned())
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

fn scaled(number: &str, factor: u64) -> Option<u64> {
    let number: f64 = number.parse().ok()?;
    let scaled = number * factor as f64;
    (scaled.is_finite() && scaled < u64::MAX as f64).then_some(scaled.round() as u64)
}
