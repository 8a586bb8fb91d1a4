#!/bin/sh
# Ninja: one build edge per step, every photo an implicit input; it compares modification times.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    command -v ninja >/dev/null || exit 1
    echo "ninja $(ninja --version)"
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    # Ninja lists no folders and reads no tables: build.ninja names every photo, and is written
    # anew, by this script, when label.csv changes.
    {
        cat <<EOF
rule configure
  command = sh '$here/ninja.sh' photos .
  generator = 1
build build.ninja: configure label.csv

rule split
  command = python3 work.py split label.csv split.csv
build split.csv: split label.csv | work.py photos

rule features
  command = python3 work.py features split.csv objects features.json
build features.json: features split.csv | work.py photos

default features.json

EOF
        echo 'build photos: phony $'
        sed -E '1d; s|^(..)(..)([^,]*),.*|  objects/\1/\2/\1\2\3 $|; $s| \$$||' "$2/label.csv"
    } >"$2/build.ninja.new"
    mv "$2/build.ninja.new" "$2/build.ninja"
    ;;
nodes)
    mkdir -p "$2"
    echo input >"$2/input.txt"
    awk -v n="$3" -v shape="$4" 'BEGIN {
        print "rule step\n  command = cat $in > $out\n"
        for (i = 0; i < n; i++) {
            from = shape == "deep" && i > 0 ? "out/" (i - 1) ".txt" : "input.txt"
            printf "build out/%d.txt: step %s\n", i, from
        }
    }' >"$2/build.ninja"
    ;;
run)
    cd "$2"
    exec ninja -j4 --quiet
    ;;
*)
    echo "usage: $0 version | photos DIR | nodes DIR N deep|wide | run DIR" >&2
    exit 2
    ;;
esac
