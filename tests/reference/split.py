"""Split of a label table into train, validation and test, with pandas.

Writes ``fixtures/split.json``: SHA-1 of the input csv, and for two split rules the SHA-1
of the output csv, the row counts by type and value, and the first 40 output lines.

Input: 22,640 rows, header ``objectId,value``, row i (from 0):
    objectId = hex SHA-1 of "photo {i}" + ".jpg"
    value    = 0 if ((i+1)*7617)//22640 > (i*7617)//22640 else 1
which gives 7,617 zeros and 15,023 ones.

Rule: key = the last two hex digits of the objectId without its extension (0..255); each
type owns an inclusive range of keys, the rest is train. Balancing (if on), for test and
for validation: m = the smaller of the counts of value 0 and value 1; in file order the
first m rows of each value stay, the surplus becomes train.

Output csv: ``objectId,value,type``, rows in input order, lines end in "\\n".
"""

import hashlib

import pandas as pd

from hashed import versions, write_json

ROWS, ZEROS = 22_640, 7_617


def label_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "objectId": [hashlib.sha1(f"photo {i}".encode()).hexdigest() + ".jpg" for i in range(ROWS)],
            "value": [
                0 if ((i + 1) * ZEROS) // ROWS > (i * ZEROS) // ROWS else 1 for i in range(ROWS)
            ],
        }
    )


def split(labels: pd.DataFrame, test: tuple, validation: tuple, balance: bool) -> pd.DataFrame:
    stem = labels["objectId"].str.rsplit(".", n=1).str[0]
    key = stem.str[-2:].map(lambda digits: int(digits, 16))
    out = labels.copy()
    out["type"] = "train"
    out.loc[key.between(*test), "type"] = "test"
    out.loc[key.between(*validation), "type"] = "validation"
    if balance:
        for kind in ("test", "validation"):
            held = out[out["type"] == kind]
            keep = held["value"].value_counts().reindex([0, 1], fill_value=0).min()
            surplus = held[held.groupby("value").cumcount() >= keep].index
            out.loc[surplus, "type"] = "train"
    return out


def csv_bytes(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode("utf-8")


def counts(table: pd.DataFrame) -> dict:
    return {
        kind: {str(v): int(((table["type"] == kind) & (table["value"] == v)).sum()) for v in (0, 1)}
        for kind in ("train", "validation", "test")
    }


def main() -> None:
    labels = label_table()
    assert (labels["value"] == 0).sum() == ZEROS
    rules = {
        "balanced": {"test": (0, 24), "validation": (25, 49), "balance": True},
        "unbalanced": {"test": (0, 9), "validation": (10, 99), "balance": False},
    }
    cases = {}
    for name, rule in rules.items():
        output = split(labels, **rule)
        data = csv_bytes(output)
        cases[name] = {
            "rule": {key: list(v) if isinstance(v, tuple) else v for key, v in rule.items()},
            "output_sha1": hashlib.sha1(data).hexdigest(),
            "counts": counts(output),
            "first_lines": data.decode().split("\n")[:40],
        }
    write_json(
        "split.json",
        {
            "input_rows": ROWS,
            "input_sha1": hashlib.sha1(csv_bytes(labels)).hexdigest(),
            "input_first_lines": csv_bytes(labels).decode().split("\n")[:5],
            "cases": cases,
            "versions": versions("pandas"),
        },
    )


if __name__ == "__main__":
    main()
