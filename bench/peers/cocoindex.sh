#!/bin/sh
# CocoIndex: one memoized function called for each photo; it compares times, then contents.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    python3 -c 'import importlib.metadata as m; print("cocoindex", m.version("cocoindex"))' 2>/dev/null || exit 1
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/photos.py" <<'EOF'
import csv
import io
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

import cocoindex as coco
from cocoindex.connectors import localfs, sqlite
from cocoindex.resources.file import FileLike, PatternFilePathMatcher

import work

DB = coco.ContextKey[sqlite.ManagedConnection]("features_db")


@dataclass
class Feature:
    photo: str
    sha256: str
    size: int


@coco.lifespan
def lifespan(builder: coco.EnvironmentBuilder) -> Iterator[None]:
    builder.settings.db_path = pathlib.Path("cocoindex.db")
    builder.provide_with(DB, sqlite.managed_connection("features.db", load_vec=False))
    yield


@coco.fn(memo=True)
async def split(labels: FileLike, out: pathlib.Path) -> None:
    lines = ["objectId,value,type"]
    for row in csv.DictReader(io.StringIO(await labels.read_text())):
        lines.append(f"{row['objectId']},{row['value']},{work.kind(row['objectId'])}")
    localfs.declare_file(out, "\n".join(lines) + "\n")


@coco.fn(memo=True)
async def feature(photo: FileLike, table: sqlite.TableTarget[Feature]) -> None:
    name = photo.file_path.path.name
    table.declare_row(row=Feature(name, **work.feature(await photo.read())))


@coco.fn
async def main() -> None:
    table = await sqlite.mount_table_target(
        DB, "features", await sqlite.TableSchema.from_class(Feature, primary_key=["photo"])
    )
    labels = localfs.walk_dir(
        pathlib.Path("."), path_matcher=PatternFilePathMatcher(included_patterns=["label.csv"])
    )
    await coco.mount_each(split, labels.items(), pathlib.Path("split.csv"))
    photos = localfs.walk_dir(
        pathlib.Path("objects"),
        recursive=True,
        path_matcher=PatternFilePathMatcher(included_patterns=["**/*.jpg"]),
    )
    await coco.mount_each(feature, photos.items(), table)


app = coco.App(coco.AppConfig(name="photos"), main)
EOF
    ;;
nodes)
    echo "cocoindex maps functions over items: it has no steps that run commands" >&2
    exit 3
    ;;
run)
    cd "$2"
    export COCOINDEX_DISABLE_USAGE_TRACKING=1
    exec cocoindex update --quiet photos.py
    ;;
*)
    echo "usage: $0 version | photos DIR | run DIR" >&2
    exit 2
    ;;
esac
