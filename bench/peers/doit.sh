#!/bin/sh
# doit: one task per step, every photo a file_dep; it compares MD5 sums of files whose time changed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    command -v doit >/dev/null || exit 1
    echo "doit $(doit --version | head -n 1)"
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/dodo.py" <<'EOF'
import csv

from work import photo

with open("label.csv", newline="") as file:
    PHOTOS = [photo("objects", row["objectId"]) for row in csv.DictReader(file)]


def task_split():
    return {
        "actions": ["python3 work.py split label.csv split.csv"],
        "file_dep": ["label.csv", "work.py", *PHOTOS],
        "targets": ["split.csv"],
    }


def task_features():
    return {
        "actions": ["python3 work.py features split.csv objects features.json"],
        "file_dep": ["split.csv", "work.py", *PHOTOS],
        "targets": ["features.json"],
    }
EOF
    ;;
nodes)
    mkdir -p "$2/out"
    echo input >"$2/input.txt"
    cat >"$2/dodo.py" <<EOF
N, DEEP = $3, "$4" == "deep"


def task_step():
    for i in range(N):
        source = f"out/{i - 1}.txt" if DEEP and i > 0 else "input.txt"
        target = f"out/{i}.txt"
        yield {
            "name": str(i),
            "actions": [f"cat {source} > {target}"],
            "file_dep": [source],
            "targets": [target],
        }
EOF
    ;;
run)
    cd "$2"
    exec doit run -n 4 -v 0 -r error-only
    ;;
*)
    echo "usage: $0 version | photos DIR | nodes DIR N deep|wide | run DIR" >&2
    exit 2
    ;;
esac
