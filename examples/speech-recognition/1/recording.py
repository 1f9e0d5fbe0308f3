"""Reads sound files of any kind, and cuts long ones where nobody speaks."""

import io
from dataclasses import dataclass

import av
import numpy as np

RATE = 16_000  # samples a second, of all that Whisper hears
LONGEST = 30 * RATE  # samples that it hears at once
SEARCHED = 5 * RATE  # at the end of these, the quietest moment is looked for
MOMENT = RATE // 10


@dataclass(frozen=True)
class Piece:
    """A part of a recording that Whisper can hear at once."""

    samples: np.ndarray
    begin_ms: int
    end_ms: int


class Recording:
    """The sound of one input in pieces, or why it cannot be read."""

    def __init__(self, content):
        self.error = ""
        self.pieces = []
        try:
            self.pieces = list(cut(read_sound(content)))
        except ValueError as error:
            self.error = str(error)


def read_sound(content):
    """The first sound track of a file, whatever its format: one channel of samples, -1 to 1."""
    if not content:
        raise ValueError("the input has no audio")
    blocks = []
    try:
        with av.open(io.BytesIO(content)) as file:
            if not file.streams.audio:
                raise ValueError("the file has no sound")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in file.decode(file.streams.audio[0]):
                blocks += resampler.resample(frame)
            blocks += resampler.resample(None)  # what it still holds
    except av.error.FFmpegError as error:
        raise ValueError(f"the audio cannot be read: {error.strerror}") from error
    return np.concatenate([np.empty(0, np.float32), *(block.to_ndarray()[0] for block in blocks)])


def cut(samples):
    """Yield pieces of a sound: whole, or, where it is long, cut at quiet moments."""
    begin = 0
    while begin < len(samples):
        end = begin + LONGEST
        if end < len(samples):
            end = find_quiet(samples, end - SEARCHED, end)
        piece = samples[begin:end]
        yield Piece(piece, round(begin / RATE * 1000), round((begin + len(piece)) / RATE * 1000))
        begin = end


def find_quiet(samples, begin, end):
    """The middle of the quietest moment between two places."""
    loudness = (samples[begin:end].reshape(-1, MOMENT) ** 2).mean(axis=1)
    return begin + int(loudness.argmin()) * MOMENT + MOMENT // 2
