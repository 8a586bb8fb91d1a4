"""From photos to pixels and to features with Python's libraries, timed without the start of Python.

    python features.py WAY FOLDER NETWORK SIZE CORES

WAY is ``pillow`` or ``opencv`` (decode each JPEG below FOLDER and resize it to SIZE x SIZE, in as many
processes as cores; Pillow with its bilinear filter, OpenCV with INTER_AREA, its nearest thing) or
``pytorch`` (a DataLoader with the number of workers that is best, torchvision's transforms, the network in
channels_last and inference mode; features go to a .npy file) or ``keras`` (a tf.data pipeline and
``predict`` with the batch that is best; the network's own scaling). Prints seconds.
"""

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path


def pillow(path: str) -> int:
    from PIL import Image

    with Image.open(path) as image:
        return len(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR).tobytes())


def opencv(path: str) -> int:
    import cv2

    cv2.setNumThreads(1)
    image = cv2.cvtColor(cv2.imread(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return cv2.resize(image, (SIZE, SIZE), interpolation=cv2.INTER_AREA).size


def pixels(way: str, paths: list) -> float:
    with multiprocessing.Pool(CORES) as pool:
        pool.map(globals()[way], paths[:CORES])  # processes and libraries are there
        began = time.perf_counter()
        done = pool.map(globals()[way], paths, chunksize=16)
        assert all(size == SIZE * SIZE * 3 for size in done)
        return time.perf_counter() - began


def pytorch(paths: list, network: str) -> float:
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
    from torchvision.transforms import v2

    transform = v2.Compose(
        [
            v2.Resize((SIZE, SIZE)),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    class Photos(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            with Image.open(paths[index]) as image:
                return transform(image.convert("RGB"))

    model = getattr(torchvision.models, network)(weights=None).eval().to(memory_format=torch.channels_last)
    torch.set_num_threads(CORES)

    def run(workers: int, count: int) -> float:
        part = torch.utils.data.Subset(Photos(), range(count))
        began = time.perf_counter()
        loader = torch.utils.data.DataLoader(part, batch_size=32, num_workers=workers)
        with torch.inference_mode(), tempfile.NamedTemporaryFile(suffix=".npy") as file:
            features = [
                model.features(batch.to(memory_format=torch.channels_last)).mean(dim=(2, 3)).numpy()
                for batch in loader
            ]
            np.save(file, np.concatenate(features))
        return time.perf_counter() - began

    few = min(len(paths), 128)
    workers = min((1, 2, CORES), key=lambda workers: run(workers, few))
    return run(workers, len(paths))


def keras(paths: list, network: str) -> float:
    import numpy as np
    import tensorflow as tf

    names = {"efficientnet_b0": "EfficientNetB0", "mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}
    build = getattr(tf.keras.applications, names[network])
    model = build(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))

    def load(path):
        return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (SIZE, SIZE), antialias=True)

    def run(batch: int, count: int) -> float:
        photos = tf.data.Dataset.from_tensor_slices(paths[:count]).map(load, num_parallel_calls=tf.data.AUTOTUNE)
        began = time.perf_counter()
        features = model.predict(photos.batch(batch).prefetch(tf.data.AUTOTUNE), verbose=0)
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file, features)
        return time.perf_counter() - began

    few = min(len(paths), 128)
    run(32, few)  # the graph is built
    batch = min((16, 32, 64), key=lambda batch: run(batch, few))
    return run(batch, len(paths))


if __name__ == "__main__":
    way, folder, network, SIZE, CORES = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    everything = sorted(str(path) for path in Path(folder).rglob("*.jpg"))
    if way in ("pytorch", "keras"):
        print(globals()[way](everything, network))
    else:
        print(pixels(way, everything))
