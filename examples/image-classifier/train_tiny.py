"""Train a tiny vision transformer on scikit-learn's bundled digits, and make a model folder of it; no network needed.

    python train_tiny.py DIR

DIR becomes a copy of this example with a checkpoint of its own. The data are 1797 scanned digits of 8x8 pixels; a
quarter is held out, and written to DIR/held-out as images. Prints the accuracy on those.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

HERE = Path(__file__).parent
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SIDE = 8
WHITE = 16  # the data's brightest pixel
EPOCHS = 20
BATCH = 64
LEARNING_RATE = 2e-3

CONFIG = """\
model:
  id: "digits-vit"
  model_type_id: "visual-classifier"

build_info:
  python_version: "3.11"

inference_compute_info:
  cpu_limit: "1"
  cpu_memory: "1Gi"

concepts:
"""


def make_model() -> ViTForImageClassification:
    """Patches of 2x2 pixels; the labels are part of the checkpoint."""
    return ViTForImageClassification(
        ViTConfig(
            image_size=SIDE,
            patch_size=2,
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=128,
            initializer_range=0.1,  # a network this small learns slowly from the usual 0.02
            id2label=dict(enumerate(NAMES)),
            label2id={name: number for number, name in enumerate(NAMES)},
        )
    )


def train(model: ViTForImageClassification, images: torch.Tensor, labels: torch.Tensor) -> None:
    steps = EPOCHS * (len(images) // BATCH + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=LEARNING_RATE, total_steps=steps)
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(BATCH):
            loss = model(pixel_values=images[batch], labels=labels[batch]).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()


@torch.inference_mode()
def measure(model: ViTForImageClassification, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of right answers."""
    model.eval()
    return float((model(pixel_values=images).logits.argmax(-1) == labels).float().mean())


def make_image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray((pixels * (255 / WHITE)).round().astype(np.uint8)).convert("RGB")


def write_folder(folder: Path, model: ViTForImageClassification, processor: ViTImageProcessorPil) -> None:
    """The example with this checkpoint instead of the one of a repository."""
    shutil.copytree(HERE / "1", folder / "1", ignore=shutil.ignore_patterns("checkpoints", "__pycache__"))
    shutil.copy(HERE / "requirements.txt", folder)
    concepts = "".join(f'  - id: "{number}"\n    name: "{name}"\n' for number, name in enumerate(NAMES))
    (folder / "config.yaml").write_text(CONFIG + concepts)
    (folder / ".modelyardignore").write_text("held-out/\n")
    model.save_pretrained(folder / "1" / "checkpoints")
    processor.save_pretrained(folder / "1" / "checkpoints")


def main() -> None:
    """Train, measure, write."""
    folder = Path(sys.argv[1])
    torch.manual_seed(0)
    data = load_digits()
    processor = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images = [make_image(pixels) for pixels in data.images]
    pixels = processor(images, return_tensors="pt").pixel_values
    kept, held_out = train_test_split(np.arange(len(images)), test_size=0.25, random_state=0, stratify=data.target)
    labels = torch.tensor(data.target)
    model = make_model()
    train(model, pixels[kept], labels[kept])
    accuracy = measure(model, pixels[held_out], labels[held_out])
    write_folder(folder, model, processor)
    (folder / "held-out").mkdir()
    for number in held_out:
        images[number].save(folder / "held-out" / f"{NAMES[data.target[number]]}-{number}.png")
    print(f"accuracy {accuracy:.3f} on {len(held_out)} held-out digits; wrote {folder}")


if __name__ == "__main__":
    main()
