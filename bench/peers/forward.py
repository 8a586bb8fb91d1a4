"""Measures forward passes with onnxruntime and PyTorch, on request.

Reads a line of JSON from stdin, answers with one on stdout, until there is no more:

    {"network": "efficientnet_b0", "size": 224, "engine": "onnxruntime", "threads": 4,
     "sessions": 1, "batch": 8, "seconds": 2}
    {"images_per_second": 198.3}

Networks are torchvision's with random weights. ``sessions`` work side by side, each with ``threads``
threads. onnxruntime runs what ``torch.onnx.export`` gives, with all its optimisations; PyTorch runs in
channels_last, in inference mode. ``{"versions": true}`` asks for versions.
"""

import json
import os
import sys
import tempfile
import threading
import time
import warnings

warnings.filterwarnings("ignore")
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what libraries print is not for the reader

import numpy as np
import onnxruntime
import torch
import torchvision

folder = tempfile.TemporaryDirectory()
sessions = {}


def model(network: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return getattr(torchvision.models, network)(weights=None).eval()


def onnx_file(network: str, size: int, batch: int) -> str:
    path = os.path.join(folder.name, f"{network}-{size}-{batch}.onnx")
    if not os.path.exists(path):
        torch.onnx.export(model(network), (torch.zeros(batch, 3, size, size),), path, dynamo=True, verbose=False)
    return path


def onnx_session(path: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def steps(job: dict) -> list:
    """A function for each session that computes one batch."""
    key = (job["network"], job["size"], job["engine"], job["threads"], job["sessions"], job["batch"])
    if key not in sessions:
        sessions.clear()
        image = np.random.default_rng(0).standard_normal((job["batch"], 3, job["size"], job["size"]), np.float32)
        if job["engine"] == "onnxruntime":
            path = onnx_file(job["network"], job["size"], job["batch"])
            all_ = [onnx_session(path, job["threads"]) for _ in range(job["sessions"])]
            name = all_[0].get_inputs()[0].name
            sessions[key] = [lambda s=session: s.run(None, {name: image}) for session in all_]
        else:
            network = model(job["network"]).to(memory_format=torch.channels_last)
            x = torch.from_numpy(image).to(memory_format=torch.channels_last)
            sessions[key] = [lambda: network(x)] * job["sessions"]
    return sessions[key]


def rate(job: dict) -> float:
    work = steps(job)
    counts = [0] * len(work)
    torch.set_num_threads(job["threads"])

    def run(number: int, until: float) -> None:
        with torch.inference_mode():
            while time.perf_counter() < until:
                work[number]()
                counts[number] += job["batch"]

    with torch.inference_mode():
        for one in work:
            one()
    began = time.perf_counter()
    threads = [threading.Thread(target=run, args=(n, began + job["seconds"])) for n in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


for line in sys.stdin:
    job = json.loads(line)
    if "versions" in job:
        answer = {"onnxruntime": onnxruntime.__version__, "torch": torch.__version__.split("+")[0]}
    else:
        answer = {"images_per_second": rate(job)}
    print(json.dumps(answer), file=out, flush=True)
