"""The image classifier on real data: a transformer that is trained here, on digits that come with scikit-learn."""

from __future__ import annotations

import re
from pathlib import Path

from support.examples import EXAMPLES, Asked, image, run_script, upload
from support.server import V2, RunningServer

FOLDER = EXAMPLES / "image-classifier"
AT_ONCE = 90


def read_requirements() -> str:
    """What training needs, in one file: ours may not name others."""
    more = (FOLDER / "requirements-train.txt").read_text().replace("-r requirements.txt", "")
    return (FOLDER / "requirements.txt").read_text() + more


def test_trained_transformer_serves_as_well_as_it_was_measured(example_server: RunningServer, tmp_path: Path) -> None:
    folder = tmp_path / "digits-vit"
    said = run_script(read_requirements(), FOLDER / "train_tiny.py", folder)
    measured = float(re.search(r"accuracy (\S+) on 450 held-out digits", said)[1])
    assert measured > 0.95
    held_out = sorted((folder / "held-out").iterdir())
    assert len(held_out) == 450
    right = 0
    with V2(example_server) as v2:
        model = Asked(v2, upload(folder, example_server.environment))
        for start in range(0, len(held_out), AT_ONCE):
            paths = held_out[start : start + AT_ONCE]
            outputs = model.predict(*(image(path.read_bytes()) for path in paths), max_concepts=1).outputs
            named = [output.data.concepts[0].name for output in outputs]
            right += sum(path.name.startswith(f"{name}-") for path, name in zip(paths, named, strict=True))
    assert round(right / len(held_out), 3) == measured
