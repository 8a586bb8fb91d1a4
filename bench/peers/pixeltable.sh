#!/bin/sh
# Pixeltable: one computed column over a table of photos; finding out which changed is left to the script.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    python3 -c 'import importlib.metadata as m; print("pixeltable", m.version("pixeltable"))' 2>/dev/null || exit 1
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/columns.py" <<'EOF'
import pixeltable as pxt

import work


@pxt.udf
def kind(name: str) -> str:
    return work.kind(name)


@pxt.udf
def feature(path: str, time: int) -> pxt.Json:
    """The time is an argument so that a row with a new one is computed again."""
    with open(path, "rb") as file:
        return work.feature(file.read())
EOF
    cat >"$2/photos.py" <<'EOF'
import csv
import os

import pixeltable as pxt

import columns
import work

table = pxt.get_table("photos", if_not_exists="ignore")
if table is None:
    table = pxt.create_table(
        "photos",
        {"name": pxt.String, "value": pxt.Int, "path": pxt.String, "time": pxt.Int},
        primary_key="name",
    )
    table.add_computed_column(type=columns.kind(table.name))
    table.add_computed_column(feature=columns.feature(table.path, table.time))

# Pixeltable computes for rows that come or change. It never looks at a file again, so what came,
# changed or went is found here, by label and modification time.
known = {row["name"]: row for row in table.select(table.name, table.value, table.time).collect()}
fresh, changed = [], []
with open("label.csv", newline="") as file:
    for label in csv.DictReader(file):
        name, value = label["objectId"], int(label["value"])
        path = work.photo("objects", name)
        row = {"name": name, "value": value, "path": path, "time": os.stat(path).st_mtime_ns}
        old = known.pop(name, None)
        if old is None:
            fresh.append(row)
        elif (old["value"], old["time"]) != (value, row["time"]):
            changed.append(row)
if fresh:
    table.insert(fresh)
if changed:
    table.batch_update(changed)
for name in known:
    table.delete(where=table.name == name)

if fresh or changed or known:
    with open("split.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["objectId", "value", "type"])
        for row in table.select(table.name, table.value, table.type).collect():
            writer.writerow([row["name"], row["value"], row["type"]])
EOF
    ;;
nodes)
    echo "pixeltable maps functions over items: it has no steps that run commands" >&2
    exit 3
    ;;
run)
    cd "$2"
    export PIXELTABLE_HOME="$PWD/.pixeltable" PIXELTABLE_VERBOSITY=0 PYTHONWARNINGS=ignore
    exec python3 photos.py
    ;;
stop)
    # A run leaves Pixeltable's own Postgres up; SIGINT is its fast shutdown.
    kill -INT "$(head -n 1 "$2/.pixeltable/pgdata/postmaster.pid")"
    ;;
*)
    echo "usage: $0 version | photos DIR | run DIR | stop DIR" >&2
    exit 2
    ;;
esac
