"""Answers questions about images: all at once (`predict`), or word by word (`generate`, `stream`).

`ImageFacts` stands where your vision language model goes. It is small, but what it says is true: it knows the size, the
format, the colours and the brightness of an image, and answers what the question asks of these. `MultimodalToText` is
the part to keep: an input has a text, an image, or both, and gets one output, in order.
"""

import io
import re
from itertools import zip_longest

import numpy as np
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "gray", "white")
MIN_SHARE = 0.1  # of the image, for a colour to be named


class InputError(Exception):
    """What was sent cannot be used; the text says why. Whatever else is raised is a fault of this code."""


class ImageFacts:
    """Says what is asked of an image. Put your model here: load it in `__init__`, run it in `answer`."""

    def __init__(self):
        self.palette = np.array([ImageColor.getrgb(name) for name in COLOURS], dtype=np.float32)
        self.topics = {
            r"big|large|size|wide|width|high|height|tall|resolution|pixels": self.tell_size,
            r"colou?rs?|shades?": self.tell_colours,
            r"bright|brightness|dark|light": self.tell_brightness,
            r"format|file|type|encoded|png|jpe?g": self.tell_format,
        }

    def answer(self, question, image):
        """Yield the words of an answer, each as soon as it is known. Both may be missing: "" and None."""
        if image is None:
            yield from split_words("There is no image. Send one with the question: I know sizes, colours and formats.")
            return
        asked = [tell for words, tell in self.topics.items() if re.search(rf"\b({words})\b", question.lower())]
        for number, tell in enumerate(asked or self.topics.values()):
            yield from split_words(tell(image), is_first=number == 0)

    def tell_size(self, image):
        return f"The image is {image.width} pixels wide and {image.height} pixels high."

    def tell_format(self, image):
        return f"It is a {image.format} file with the colour mode {image.mode}."

    def tell_colours(self, image):
        shares = self.share_colours(image)
        named = [f"{COLOURS[number]} ({shares[number]:.0%})" for number in np.argsort(-shares, kind="stable")]
        count = max(1, int((shares >= MIN_SHARE).sum()))
        return f"Its colours are {', '.join(named[:count])}." if count > 1 else f"It is mostly {named[0]}."

    def tell_brightness(self, image):
        brightness = np.asarray(image.convert("L")).mean() / 255
        return f"It is {'bright' if brightness > 0.6 else 'dark' if brightness < 0.3 else 'neither bright nor dark'}."

    def share_colours(self, image):
        """The share of the image that is nearest to each of the colours."""
        pixels = np.asarray(image.convert("RGB").resize((64, 64)), dtype=np.float32).reshape(-1, 1, 3)
        nearest = np.linalg.norm(pixels - self.palette, axis=-1).argmin(axis=-1)
        return np.bincount(nearest, minlength=len(COLOURS)) / len(nearest)


class MultimodalToText(ModelRunner):
    """Reads texts and images, asks the model, and answers texts."""

    def load_model(self):
        self.model = ImageFacts()

    def predict(self, request):
        """One whole answer for each input. A model that takes batches gets all inputs at once here."""
        outputs = []
        for one in request.inputs:
            try:
                question, image = read_input(one.data)
                outputs.append(make_output("".join(self.model.answer(question, image))))
            except InputError as error:  # this input fails, the others are answered
                outputs.append(make_failure(error))
        return service_pb2.MultiOutputResponse(outputs=outputs)

    def generate(self, request):
        """The next word for every input, until all have ended; "" for those that ended before."""
        started = [self.list_pieces(one.data) for one in request.inputs]
        for outputs in zip_longest(*started):
            filled = [make_output("") if output is None else output for output in outputs]
            yield service_pb2.MultiOutputResponse(outputs=filled)

    def stream(self, request_iterator):
        """The words of each request's answer, before the next request has come."""
        for request in request_iterator:
            yield from self.generate(request)

    def list_pieces(self, data):
        """An output for each word of an answer, or the one that says why there is none."""
        try:
            question, image = read_input(data)
            for word in self.model.answer(question, image):
                yield make_output(word)
        except InputError as error:
            yield make_failure(error)


def read_input(data):
    """The question, "" where there is none, and the image or None. What came as a URL has been fetched: it is here."""
    question, content = data.text.raw.strip(), data.image.base64
    if not question and not content:
        raise InputError("the input has neither a text nor an image")
    if not content:
        return question, None
    try:
        image = Image.open(io.BytesIO(content))
        ImageOps.exif_transpose(image, in_place=True)
    except UnidentifiedImageError:
        raise InputError("the image is of no format that Pillow reads") from None
    except Exception as error:  # of many kinds: Pillow's readers raise what they run into
        raise InputError(f"the image cannot be read: {error}") from error
    return question, image


def make_output(text):
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.SUCCESS
    output.data.text.raw = text
    return output


def make_failure(error):
    """An output that says that its input is at fault."""
    output = resources_pb2.Output()
    output.status.code = status_code_pb2.INPUT_UNSUPPORTED_FORMAT
    output.status.description = str(error)
    return output


def split_words(text, *, is_first=True):
    """The words of a text, which joined are the text; a space before it where it follows another."""
    return re.findall(r"\s*\S+", text if is_first else f" {text}")
