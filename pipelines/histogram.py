"""How often each byte occurs in a file: features that need nothing but Python."""
from collections import Counter

from pipe_map import serve


def histogram(path):
    with open(path, "rb") as file:
        data = file.read()
    counts = Counter(data)
    return [256 * counts[byte] / len(data) for byte in range(256)]


if __name__ == "__main__":
    serve(histogram)
