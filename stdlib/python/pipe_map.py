"""Lets a Python function compute the items of a pipe node of kind process.map, process.features or
process.images: `from pipe_map import serve; serve(function)`.

The function takes a path and returns a value, a vector, or a PIL image (or the path of an image that it
wrote into the folder $out). With `batch=True` it takes a list of paths and returns a list. What it
prints goes to the node's log; an exception fails the item that it was raised for.
"""
import json, os, sys, traceback


def serve(function, batch=False):
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # standard output is for answers alone
    gives = {"process.features": "features", "process.images": "image"}.get(os.environ["PIPE_KIND"], "value")
    waiting = []
    for line in sys.stdin:
        if line.strip():
            waiting.append(json.loads(line))
        if waiting and (not batch or not line.strip()):  # an empty line ends a batch
            answers.write("".join(answer + "\n" for answer in compute(function, waiting, batch, gives)))
            answers.flush()
            waiting = []


def compute(function, items, batch, gives):
    paths = [item["path"] for item in items]
    try:
        results = function(paths) if batch else [function(path) for path in paths]
        return [answer(item, {gives: plain(item, result, gives)}) for item, result in zip(items, results, strict=True)]
    except Exception as error:
        traceback.print_exc()
        return [answer(item, {"error": f"{type(error).__name__}: {error}"}) for item in items]


def answer(item, what):
    return json.dumps({"id": item["id"], **what}, allow_nan=False)


def plain(item, result, gives):
    if gives == "image" and hasattr(result, "save"):
        path = os.path.join(os.environ["out"], f"{item['id']}.png")
        result.save(path)
        return path
    return result.tolist() if hasattr(result, "tolist") else result
