"""Suspect labels with cleanlab.

Writes ``fixtures/labels.json``: for every case the inputs (labels and float64 probabilities) and
``suspects``, the rows whose label is probably wrong by confident learning, by rising probability of
their label: ``find_label_issues(filter_by="confident_learning",
return_indices_ranked_by="self_confidence")``. Each case has labels that were changed after the
probabilities were drawn, so that there is something to find.
"""

import numpy as np
from cleanlab.filter import find_label_issues

from hashed import uniform, versions, write_json


def case(name: str, n: int, classes: int) -> dict:
    labels = np.floor(uniform(f"labels/{name}/labels", n) * classes).astype(int)
    logits = 3 * uniform(f"labels/{name}/logits", n * classes).reshape(n, classes)
    logits[np.arange(n), labels] += 2
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    changed = uniform(f"labels/{name}/changed", n) < 0.1
    labels = np.where(changed, (labels + 1) % classes, labels)
    suspects = find_label_issues(
        labels,
        probabilities,
        filter_by="confident_learning",
        return_indices_ranked_by="self_confidence",
        n_jobs=1,
    )
    return {"labels": labels.tolist(), "probabilities": probabilities.tolist(), "suspects": suspects.tolist()}


def main() -> None:
    cases = {f"{classes}_classes": case(str(classes), 120, classes) for classes in (2, 3, 6)}
    write_json("labels.json", {"cases": cases, "versions": versions("numpy", "cleanlab")})


if __name__ == "__main__":
    main()
