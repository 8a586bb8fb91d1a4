#!/bin/sh
# DataChain: one function mapped over a delta chain of the photos; it compares names and times.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    python3 -c 'import importlib.metadata as m; print("datachain", m.version("datachain"))' 2>/dev/null || exit 1
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/photos.py" <<'EOF'
import csv

import datachain as dc
from datachain import File

import work


def kind(objectid: str) -> str:
    return work.kind(objectid)


def feature(file: File) -> tuple[str, int]:
    found = work.feature(file.read())
    return found["sha256"], found["size"]


# DataChain spells the names of columns in small letters.
split = dc.read_csv("label.csv", source=False, update=True).map(type=kind).save("split")
with open("split.csv", "w", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["objectId", "value", "type"])
    writer.writerows(split.to_iter("objectid", "value", "type"))

(
    dc.read_storage(
        "objects", update=True, delta=True, delta_on="file.path", delta_compare="file.etag"
    )
    .settings(parallel=4)
    .map(feature, output={"sha256": str, "size": int})
    .save("features")
)
EOF
    ;;
nodes)
    echo "datachain maps functions over items: it has no steps that run commands" >&2
    exit 3
    ;;
run)
    cd "$2"
    export DATACHAIN_NO_ANALYTICS=1 TQDM_DISABLE=1
    exec python3 photos.py
    ;;
*)
    echo "usage: $0 version | photos DIR | run DIR" >&2
    exit 2
    ;;
esac
