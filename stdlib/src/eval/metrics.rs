//! Metrics of classifiers, equal to scikit-learn's.

use serde::Serialize;

/// Probabilities are kept this far from 0 and 1 before their logarithm is taken, as Keras does.
const CLIP: f64 = 1e-7;

/// How well probabilities fit labels. Ratios without a denominator are 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Rows.
    pub rows: usize,
    /// The part of the rows whose class is predicted, in 0..=1.
    pub accuracy: f64,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// `confusion[true class][predicted class]`, in rows.
    pub confusion: Vec<Vec<usize>>,
    /// Of class 1 with two classes, else the mean over the classes.
    pub precision: f64,
    /// Likewise.
    pub recall: f64,
    /// Likewise: the harmonic mean of precision and recall.
    pub f1: f64,
    /// Area under the ROC curve: of class 1 with two classes, else the mean of each class against
    /// the rest. `None` where a class has no rows, or all.
    pub roc_auc: Option<f64>,
    /// Precision, recall and F1 of each class, with more than two.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassMetrics>,
}

/// Metrics of one class against the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Of what is predicted as the class, the part that is.
    pub precision: f64,
    /// Of what is the class, the part that is predicted as it.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
}

impl Metrics {
    /// Metrics of `probabilities` `[rows, classes]`, row-major, for class indices `labels`.
    ///
    /// With two classes the predicted one is 1 from a probability of 0.5 on; with more it is the
    /// most probable, the first of equals.
    pub fn new(labels: &[usize], probabilities: &[f64], classes: usize) -> Self {
        let rows = labels.len();
        let mut confusion = vec![vec![0; classes]; classes];
        let mut loss = 0.0;
        for (row, &label) in probabilities.chunks_exact(classes).zip(labels) {
            confusion[label][predicted(row)] += 1;
            loss -= row[label].clamp(CLIP, 1.0 - CLIP).ln();
        }
        let each: Vec<ClassMetrics> = (0..classes).map(|class| ClassMetrics::new(&confusion, class)).collect();
        let mean = |metric: fn(&ClassMetrics) -> f64| match each.as_slice() {
            [_, one] => metric(one),
            each => each.iter().map(metric).sum::<f64>() / each.len() as f64,
        };
        let score = |class: usize| -> Vec<f64> { probabilities.iter().skip(class).step_by(classes).copied().collect() };
        let auc =
            |class: usize| roc_auc(&labels.iter().map(|&label| label == class).collect::<Vec<_>>(), &score(class));
        let aucs: Option<Vec<f64>> =
            if classes == 2 { auc(1).map(|auc| vec![auc]) } else { (0..classes).map(auc).collect() };
        let hits: usize = (0..classes).map(|class| confusion[class][class]).sum();
        Self {
            rows,
            accuracy: ratio(hits, rows),
            loss: loss / rows.max(1) as f64,
            precision: mean(|class| class.precision),
            recall: mean(|class| class.recall),
            f1: mean(|class| class.f1),
            roc_auc: aucs.map(|aucs| aucs.iter().sum::<f64>() / aucs.len() as f64),
            classes: if classes > 2 { each } else { Vec::new() },
            confusion,
        }
    }
}

impl ClassMetrics {
    fn new(confusion: &[Vec<usize>], class: usize) -> Self {
        let hits = confusion[class][class];
        let (predicted, actual): (usize, usize) =
            (confusion.iter().map(|row| row[class]).sum(), confusion[class].iter().sum());
        Self { precision: ratio(hits, predicted), recall: ratio(hits, actual), f1: ratio(2 * hits, predicted + actual) }
    }
}

/// The predicted class of one row of probabilities.
pub fn predicted(row: &[f64]) -> usize {
    match row {
        [_, one] => usize::from(*one >= 0.5),
        _ => (0..row.len()).rev().max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or_default(),
    }
}

/// The probability that a positive row scores above a negative one, ties counting half (Mann and
/// Whitney's U over the number of pairs). `None` without positives or without negatives.
pub fn roc_auc(positive: &[bool], scores: &[f64]) -> Option<f64> {
    let positives = positive.iter().filter(|&&positive| positive).count();
    let negatives = positive.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let mut below = 0.0;
    let mut wins = 0.0;
    for ties in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let won = ties.iter().filter(|&&row| positive[row]).count() as f64;
        let lost = ties.len() as f64 - won;
        wins += won * (below + lost / 2.0);
        below += lost;
    }
    Some(wins / (positives as f64 * negatives as f64))
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
