"""Train the digits classifier on scikit-learn's bundled data: 1797 scanned digits of 8x8 pixels, no network needed.

Writes 1/checkpoints/digits.npz and some held-out digits as samples/DIGIT.png, and prints the accuracy on the
held-out quarter.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HERE = Path(__file__).parent
WHITE = 16  # the data's brightest pixel
SAMPLES = (3, 7, 8)


def train(images: np.ndarray, labels: np.ndarray) -> MLPClassifier:
    """One hidden layer: exact enough for digits, and two multiplications to run."""
    classifier = MLPClassifier(hidden_layer_sizes=(64,), max_iter=500, random_state=0)
    return classifier.fit(images.reshape(len(images), -1), labels)


def save(classifier: MLPClassifier) -> Path:
    """Only arrays of numbers: reading them runs no code, unlike a pickled estimator."""
    path = HERE / "1" / "checkpoints" / "digits.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"weights_{number}": array.astype(np.float32) for number, array in enumerate(classifier.coefs_)}
    arrays |= {f"biases_{number}": array.astype(np.float32) for number, array in enumerate(classifier.intercepts_)}
    np.savez(path, **arrays)
    return path


def write_samples(images: np.ndarray, labels: np.ndarray) -> None:
    """The first held-out image of some digits, as PNG."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    for digit in SAMPLES:
        number = int(np.flatnonzero(labels == digit)[0])
        pixels = (images[number] * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{digit}.png", optimize=True)


def main() -> None:
    """Train, measure, save."""
    data = load_digits()
    images = data.images / WHITE
    kept, held_out, kept_labels, held_out_labels = train_test_split(
        images, data.target, test_size=0.25, random_state=0, stratify=data.target
    )
    classifier = train(kept, kept_labels)
    accuracy = classifier.score(held_out.reshape(len(held_out), -1), held_out_labels)
    path = save(classifier)
    write_samples(held_out, held_out_labels)
    print(f"accuracy {accuracy:.3f} on {len(held_out)} held-out digits; wrote {path.relative_to(HERE)}")


if __name__ == "__main__":
    main()
