"""Images, videos and sounds that the examples are asked about."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
from PIL import Image

FPS = 10
TURNED_RIGHT = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
"""The matrix in an MP4's track header that turns its pictures by 90 degrees, clockwise."""


def make_media(root: Path) -> None:
    root.mkdir(parents=True)
    make_image(64, 48, seed=1).save(root / "a.png")
    make_image(64, 48, seed=2).save(root / "b.png")
    make_image(33, 90, seed=3).save(root / "tall.png")
    make_turned_image(make_image(64, 48, seed=1), root / "turned.png")
    (root / "broken.png").write_bytes((root / "a.png").read_bytes()[:60])
    clip = make_video([make_image(64, 48, seed=number) for number in range(3 * FPS)], root / "clip.mp4")
    (root / "turned.mp4").write_bytes(turn(clip))
    (root / "broken.mp4").write_bytes(clip[:1000])
    make_sounds(root)


def make_image(width: int, height: int, *, seed: int) -> Image.Image:
    """Soft blots of colour."""
    blots = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), np.uint8)
    return Image.fromarray(blots).resize((width, height))


def make_turned_image(image: Image.Image, path: Path) -> None:
    """The image lying on its left side, with the note of a camera that it has to be turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def make_video(images: list[Image.Image], path: Path) -> bytes:
    with av.open(path, "w") as file:
        stream = file.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height = images[0].size
        stream.pix_fmt = "yuv420p"
        for image in images:
            file.mux(stream.encode(av.VideoFrame.from_image(image)))
        file.mux(stream.encode(None))
    return path.read_bytes()


def turn(video: bytes) -> bytes:
    """The same MP4 with the note of a telephone that its pictures have to be turned to the right."""
    start = video.index(b"tkhd") + 44
    return video[:start] + TURNED_RIGHT + video[start + len(TURNED_RIGHT) :]


def make_sounds(root: Path) -> None:
    tone = make_sound(2.0, rate=16_000, seed=1)
    write_sound(root / "tone.wav", tone, rate=16_000, codec="pcm_s16le")
    write_sound(root / "tone.flac", tone, rate=16_000, codec="flac")
    write_sound(root / "other.wav", make_sound(3.0, rate=16_000, seed=2), rate=16_000, codec="pcm_s16le")
    write_sound(root / "song.mp3", make_sound(2.0, rate=44_100, seed=3), rate=44_100, codec="mp3", layout="stereo")
    write_sound(root / "silence.wav", np.zeros(16_000), rate=16_000, codec="pcm_s16le")
    long = make_sound(70.0, rate=22_050, seed=4)
    for pause_s in (27.1, 56.2):
        long[round(pause_s * 22_050) : round((pause_s + 0.3) * 22_050)] = 0
    write_sound(root / "long.wav", long, rate=22_050, codec="pcm_s16le")
    (root / "broken.wav").write_bytes((root / "tone.wav").read_bytes()[:20])


def make_sound(seconds: float, *, rate: int, seed: int) -> np.ndarray:
    """A note that glides and swells, with noise around it."""
    dice = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * rate)) / rate
    note = np.sin(2 * np.pi * (200 * seed + 30 * np.sin(3 * time_s)) * time_s) * (1 + np.sin(5 * time_s)) / 4
    return note + 0.05 * dice.standard_normal(len(time_s))


def write_sound(path: Path, samples: np.ndarray, *, rate: int, codec: str, layout: str = "mono") -> None:
    with av.open(path, "w") as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        whole = np.repeat((samples.clip(-1, 1) * 32767).astype(np.int16), 2 if layout == "stereo" else 1)
        frame = av.AudioFrame.from_ndarray(whole[np.newaxis], format="s16", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
