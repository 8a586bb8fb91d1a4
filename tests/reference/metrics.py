"""Classification metrics with scikit-learn.

Writes ``fixtures/metrics.json``: for every case the inputs (labels and float64 scores) and
the expected values. ``confusion[t][p]`` counts rows of true class t predicted as p.

Binary cases: ``scores[row]`` is the probability of class 1; a row is predicted as class 1
when its score is >= 0.5. ``log_loss`` is the mean binary cross entropy (natural log) on
the scores clipped to [1e-7, 1 - 1e-7] in float64. Precision, recall and F1 are those of
class 1, 0 where undefined. ``roc_auc`` is null when the labels hold one class only.

Multi-class cases: ``scores[row][class]`` are probabilities, the prediction is the (first)
largest. ``log_loss`` is the mean of -ln(probability of the true class); no score comes
near 0. Precision, recall and F1 per class and as unweighted (macro) means, 0 where
undefined; ``roc_auc_ovr_macro`` is the unweighted mean of one-versus-rest areas.
"""

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from hashed import uniform, versions, write_json

EPSILON = 1e-7


def binary_case(labels: np.ndarray, scores: np.ndarray) -> dict:
    predicted = (scores >= 0.5).astype(int)
    clipped = np.clip(scores, EPSILON, 1 - EPSILON)
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, predicted, average="binary", pos_label=1, zero_division=0
    )
    both_classes = len(np.unique(labels)) == 2
    return {
        "labels": labels.tolist(),
        "scores": scores.tolist(),
        "expected": {
            "accuracy": float(accuracy_score(labels, predicted)),
            "log_loss": float(log_loss(labels, np.column_stack([1 - clipped, clipped]), labels=[0, 1])),
            "confusion": confusion_matrix(labels, predicted, labels=[0, 1]).tolist(),
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "roc_auc": float(roc_auc_score(labels, scores)) if both_classes else None,
            "average_precision": float(average_precision_score(labels, scores)),
        },
    }


def multi_case(labels: np.ndarray, scores: np.ndarray) -> dict:
    classes = list(range(scores.shape[1]))
    predicted = scores.argmax(axis=1)
    per_class = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)
    macro = precision_recall_fscore_support(
        labels, predicted, labels=classes, average="macro", zero_division=0
    )
    names = ("precision", "recall", "f1")
    expected = {
        "accuracy": float(accuracy_score(labels, predicted)),
        "log_loss": float(log_loss(labels, scores, labels=classes)),
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
        "roc_auc_ovr_macro": float(
            roc_auc_score(labels, scores, multi_class="ovr", average="macro", labels=classes)
        ),
    }
    expected |= {f"{name}_per_class": per_class[i].tolist() for i, name in enumerate(names)}
    expected |= {f"{name}_macro": float(macro[i]) for i, name in enumerate(names)}
    return {"labels": labels.tolist(), "scores": scores.tolist(), "expected": expected}


def binary_inputs(name: str, n: int) -> tuple:
    """Labels (about 2/3 ones) and scores that lean towards the label."""
    labels = (uniform(f"metrics/{name}/labels", n) < 2 / 3).astype(int)
    noise = uniform(f"metrics/{name}/scores", n)
    return labels, 0.65 * noise + 0.35 * labels


def multi_inputs(name: str, n: int, classes: int) -> tuple:
    """Labels and softmax probabilities of noise plus a bonus for the true class."""
    labels = np.floor(uniform(f"metrics/{name}/labels", n) * classes).astype(int)
    logits = 3 * uniform(f"metrics/{name}/logits", n * classes).reshape(n, classes)
    logits[np.arange(n), labels] += 1
    return labels, logits


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows sum to 1 up to float64 rounding."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def main() -> None:
    binary, multi = {}, {}

    labels, scores = binary_inputs("random", 200)
    binary["random"] = binary_case(labels, scores)

    labels, scores = binary_inputs("ties", 200)
    binary["ties"] = binary_case(labels, np.round(scores, 1))

    labels, scores = binary_inputs("perfect", 40)
    scores = np.where(labels == 1, 0.5 + scores / 2, scores / 2)
    scores[:2] = labels[:2]  # exact 0 or 1, to exercise the clipping
    binary["perfect"] = binary_case(labels, scores)

    labels, scores = binary_inputs("wrong_and_certain", 40)
    scores[:2] = 1 - labels[:2]  # exact and wrong: the loss of the clip limit
    binary["wrong_and_certain"] = binary_case(labels, scores)

    labels, scores = binary_inputs("all_predicted_one", 60)
    binary["all_predicted_one"] = binary_case(labels, 0.51 + 0.48 * scores)

    labels, scores = binary_inputs("all_predicted_zero", 60)
    binary["all_predicted_zero"] = binary_case(labels, 0.49 * scores)

    labels, scores = binary_inputs("only_true_ones", 50)
    binary["only_true_ones"] = binary_case(np.ones_like(labels), scores)

    for name, n, classes in (("three_classes", 150, 3), ("five_classes", 150, 5)):
        labels, logits = multi_inputs(name, n, classes)
        multi[name] = multi_case(labels, softmax(logits))

    labels, logits = multi_inputs("never_predicted", 90, 3)
    logits[:, 1] -= 5
    multi["never_predicted"] = multi_case(labels, softmax(logits))

    write_json(
        "metrics.json",
        {
            "binary": binary,
            "multi": multi,
            "clip_epsilon": EPSILON,
            "versions": versions("numpy", "scikit-learn"),
        },
    )


if __name__ == "__main__":
    main()
