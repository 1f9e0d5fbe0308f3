from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from modelyard.client.inputs import make_media_input
from modelyard.local.preview import COLOURS, write_previews
from modelyard.parts.sample_inputs import SAMPLES
from modelyard.wire.messages import MultiOutputResponse, Output

IMAGE = make_media_input("image", str(SAMPLES / "image.png"))


def pixel(path: Path, x: float, y: float) -> tuple[int, ...]:
    with Image.open(path) as image:
        found = image.getpixel((round(x * image.width), round(y * image.height)))
    assert isinstance(found, tuple)
    return found


def test_boxes_are_drawn_where_they_are(tmp_path: Path) -> None:
    box = {"top_row": 0.25, "left_col": 0.25, "bottom_row": 0.75, "right_col": 0.75}
    concept = {"name": "house", "value": 0.9}
    region = {"region_info": {"bounding_box": box}, "data": {"concepts": [concept]}}
    answer = MultiOutputResponse(outputs=[{"data": {"regions": [region]}}])
    (path,) = write_previews([answer], [IMAGE], tmp_path / "new", "predict")
    assert path == tmp_path / "new" / "predict-1-1-regions.png"
    assert pixel(path, 0.75, 0.5) == COLOURS[0]
    assert pixel(path, 0.5, 0.75) == COLOURS[0]
    assert pixel(path, 0.9, 0.9) == pixel(SAMPLES / "image.png", 0.9, 0.9)


def test_masks_are_laid_over_the_image(tmp_path: Path) -> None:
    written = io.BytesIO()
    Image.new("L", (10, 10), 255).save(written, "PNG")
    region = {"region_info": {"mask": {"image": {"base64": written.getvalue()}}}}
    answer = MultiOutputResponse(outputs=[{"data": {"regions": [region]}}])
    (path,) = write_previews([answer], [IMAGE], tmp_path, "predict")
    assert pixel(path, 0.5, 0.1) != pixel(SAMPLES / "image.png", 0.5, 0.1)


def test_media_are_written_as_they_came_with_their_ending(tmp_path: Path) -> None:
    sound = (SAMPLES / "audio.wav").read_bytes()
    answers = [MultiOutputResponse(outputs=[Output(data={"audio": {"base64": sound}})])] * 2
    paths = write_previews(answers, [], tmp_path, "generate")
    assert [path.name for path in paths] == ["generate-1-1-audio.wav", "generate-2-1-audio.wav"]
    assert paths[0].read_bytes() == sound


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    region = {"region_info": {"bounding_box": {"bottom_row": 1.0, "right_col": 1.0}}}
    answer = MultiOutputResponse(outputs=[{"data": {"regions": [region]}}])
    assert write_previews([answer], [make_media_input("image", b"no image")], tmp_path / "x", "predict") == ()
    assert not (tmp_path / "x").exists()
