"""Training of a linear head on fixed features, with PyTorch (float32, CPU).

Writes ``fixtures/head_training.json`` with two cases, ``binary`` (Linear(16, 1) and
BCEWithLogitsLoss, class 1 where the logit is >= 0) and ``multi`` (Linear(16, 4) and
CrossEntropyLoss, class of the largest logit); both losses are means over the batch.

Inputs, with u = hashed.uniform and row-major shapes:
    train features       2 * u("head/x")  - 1, [230, 16]
    validation features  2 * u("head/xv") - 1, [50, 16]
    initial weight       0.2 * (u("head/w")  - 0.5), [1, 16]   (binary)
                         0.2 * (u("head4/w") - 0.5), [4, 16]   (multi)
    initial bias         0
    labels               in the fixture (a hidden linear rule plus noise)
All are computed in float64 and rounded to float32.

Training: Adam(lr 0.01, betas 0.9 and 0.999, eps 1e-8, no weight decay), 12 epochs,
batches of 64 rows taken in the epoch's ``order`` (in the fixture; the stable argsort of
u("head/order/{epoch}", 230), epoch from 0), the last batch holds the remaining 38 rows.

Per epoch: ``train_loss`` and ``train_accuracy`` are means over the epoch's rows, each row
judged by the logits of its batch before that batch's step (batch means weighted by rows,
summed in float64); ``validation_loss`` and ``validation_accuracy`` are taken after the
epoch. ``final_weight`` and ``final_bias`` are the trained parameters.
"""

import numpy as np
import torch
from torch import nn

from hashed import floats32, uniform, versions, write_json

ROWS, VALIDATION_ROWS, FEATURES = 230, 50, 16
BATCH, EPOCHS, RATE = 64, 12, 0.01


def features(name: str, rows: int) -> torch.Tensor:
    values = 2 * uniform(name, rows * FEATURES) - 1
    return torch.from_numpy(values.reshape(rows, FEATURES).astype(np.float32))


def hidden_scores(case: str, part: str, x: torch.Tensor, outputs: int) -> np.ndarray:
    """Scores of a hidden linear rule plus noise; the labels follow from them."""
    rule = 2 * uniform(f"{case}/rule", outputs * FEATURES).reshape(FEATURES, outputs) - 1
    noise = 2 * uniform(f"{case}/noise/{part}", len(x) * outputs).reshape(len(x), outputs) - 1
    # Explicit sums, so that no matrix library's rounding can matter.
    return (x.numpy().astype(np.float64)[:, :, None] * rule[None]).sum(axis=1) + 0.5 * noise


def labels(case: str, part: str, x: torch.Tensor, classes: int) -> np.ndarray:
    if classes == 2:
        return (hidden_scores(case, part, x, 1)[:, 0] > 0).astype(np.int64)
    return hidden_scores(case, part, x, classes).argmax(axis=1)


def loss_and_hits(model: nn.Linear, x: torch.Tensor, y: torch.Tensor, classes: int) -> tuple:
    logits = model(x)
    if classes == 2:
        loss = nn.functional.binary_cross_entropy_with_logits(logits[:, 0], y.float())
        return loss, int(((logits[:, 0] >= 0) == (y == 1)).sum())
    return nn.functional.cross_entropy(logits, y), int((logits.argmax(dim=1) == y).sum())


def train(case: str, classes: int, orders: list) -> dict:
    outputs = 1 if classes == 2 else classes
    x, xv = features("head/x", ROWS), features("head/xv", VALIDATION_ROWS)
    y, yv = labels(case, "train", x, classes), labels(case, "validation", xv, classes)
    ty, tyv = torch.from_numpy(y), torch.from_numpy(yv)

    weight = (0.2 * (uniform(f"{case}/w", outputs * FEATURES) - 0.5)).reshape(outputs, FEATURES)
    model = nn.Linear(FEATURES, outputs)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(weight.astype(np.float32)))
        model.bias.zero_()
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.999), eps=1e-8)

    epochs = []
    for order in orders:
        loss_sum, hit_sum = 0.0, 0
        for start in range(0, ROWS, BATCH):
            rows = torch.from_numpy(order[start : start + BATCH])
            loss, hits = loss_and_hits(model, x[rows], ty[rows], classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(rows)
            hit_sum += hits
        with torch.no_grad():
            validation_loss, validation_hits = loss_and_hits(model, xv, tyv, classes)
        epochs.append(
            {
                "train_loss": loss_sum / ROWS,
                "train_accuracy": hit_sum / ROWS,
                "validation_loss": floats32(validation_loss.item()),
                "validation_accuracy": validation_hits / VALIDATION_ROWS,
            }
        )
    return {
        "classes": classes,
        "labels": y.tolist(),
        "validation_labels": yv.tolist(),
        "initial_weight": floats32(weight),
        "epochs": epochs,
        "final_weight": floats32(model.weight.detach().numpy()),
        "final_bias": floats32(model.bias.detach().numpy()),
    }


def main() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    orders = [np.argsort(uniform(f"head/order/{e}", ROWS), kind="stable") for e in range(EPOCHS)]
    write_json(
        "head_training.json",
        {
            "batch_size": BATCH,
            "feature_count": FEATURES,
            "learning_rate": RATE,
            "order": [order.tolist() for order in orders],
            "binary": train("head", 2, orders),
            "multi": train("head4", 4, orders),
            "versions": versions("numpy", "torch"),
        },
    )


if __name__ == "__main__":
    main()
