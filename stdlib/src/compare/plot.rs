//! A plot of one number for each of several things, as SVG.

use std::fmt::Write;

/// One thing and its number.
pub(super) struct Point<'a> {
    pub(super) label: &'a str,
    pub(super) value: f64,
}

/// The height of a line, in pixels.
const LINE: f64 = 24.0;
/// The width of a letter of the labels at 13 pixels, in pixels.
const LETTER: f64 = 7.6;
/// The width that the numbers are drawn on.
const WIDTH: f64 = 420.0;
const STYLE: &str = "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#24292f}.t{fill:#6e7781;font-size:11px}\
    .g{stroke:#d0d7de}.p{fill:#8c959f}.b{fill:#0969da}rect{fill:#fff}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}.t{fill:#8b949e}.g{stroke:#30363d}.p{fill:#6e7681}\
    .b{fill:#58a6ff}rect{fill:#0d1117}}";

/// A line for each point, in their order; the first is the best and stands out.
pub(super) fn svg(name: &str, points: &[Point<'_>]) -> String {
    let longest = points.iter().map(|point| point.label.chars().count()).max().unwrap_or_default();
    let left = 16.0 + LETTER * longest as f64 + 16.0;
    let (low, high, step) = scale(points);
    let at = |value: f64| left + (value - low) / (high - low) * WIDTH;
    let (width, bottom) = (left + WIDTH + 90.0, 44.0 + LINE * points.len() as f64);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{:.0}\" viewBox=\"0 0 {width:.0} {:.0}\">\
         <style>{STYLE}</style><rect width=\"100%\" height=\"100%\"/>\n",
        bottom + 32.0,
        bottom + 32.0,
    );
    let _ = writeln!(svg, "<text x=\"{left:.1}\" y=\"24\" font-weight=\"600\">{}</text>", escaped(name));
    let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let steps = ((high - low) / step).round() as usize;
    for tick in 0..=steps {
        let value = low + step * tick as f64;
        let x = at(value);
        let _ = writeln!(
            svg,
            "<path class=\"g\" d=\"M{x:.1} 36V{bottom:.1}\"/>\
             <text class=\"t\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value:.digits$}</text>",
            bottom + 18.0
        );
    }
    for (row, point) in points.iter().enumerate() {
        let (x, y) = (at(point.value), 44.0 + LINE * (row as f64 + 0.5));
        let class = if row == 0 { "b" } else { "p" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.4}</text>",
            left - 16.0,
            y + 4.5,
            escaped(point.label),
            x + 10.0,
            y + 4.5,
            point.value
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The ends of the scale and the distance of its ticks: 1, 2 or 5 times a power of ten.
fn scale(points: &[Point<'_>]) -> (f64, f64, f64) {
    let values = points.iter().map(|point| point.value).filter(|value| value.is_finite());
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    if low > high {
        return (0.0, 1.0, 0.5);
    }
    let spread = if high > low { high - low } else { high.abs().max(1e-3) * 0.1 };
    let rough = spread / 4.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|times| times * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(power);
    let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
    if high > low { (low, high, step) } else { (low - step, high + step, step) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
