"""The templates that `modelyard init` starts a folder from: their names, and where their files are."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import InvalidRequest

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True, kw_only=True)
class Template:
    """One template: a folder below `templates/plain`, and where there is one, below `templates/checkpoint`."""

    name: str
    """Of its folder, and of the model's type where there is one of this name."""
    summary: str
    """What it does, in words that go behind its name."""
    aliases: tuple[str, ...] = ()
    example: tuple[str, ...] = ()
    """Options of `modelyard predict` that show it; files are in the folder."""
    checkpoint: str = ""
    """What a checkpoint has to be for `--checkpoint`; "" where there is no such variant."""

    def folder(self, *, is_checkpoint: bool) -> Path:
        """Where its files are."""
        return FOLDER / ("checkpoint" if is_checkpoint else "plain") / self.name


TEMPLATES = (
    Template(
        name="image-classifier",
        summary="labels an image",
        aliases=("visual-classifier",),
        example=("--image", "samples/leaf.png"),
        checkpoint="an image classification model, such as google/vit-base-patch16-224",
    ),
    Template(
        name="image-detector",
        summary="finds things in an image, with boxes",
        aliases=("visual-detector",),
        example=("--image", "samples/shapes.png"),
        checkpoint="an object detection model, such as facebook/detr-resnet-50",
    ),
    Template(
        name="image-segmenter",
        summary="labels the pixels of an image, with masks",
        aliases=("visual-segmenter",),
        example=("--image", "samples/shapes.png"),
    ),
    Template(
        name="video-classifier",
        summary="labels the frames of a video",
        aliases=("video",),
        example=("--video", "samples/clip.mp4"),
    ),
    Template(
        name="text-to-text",
        summary="answers a text with a text, streaming, with parameters: a language model",
        aliases=("llm", "language-model"),
        example=("--text", "The model", "--stream"),
        checkpoint="a causal language model, such as meta-llama/Llama-3.2-1B-Instruct",
    ),
    Template(
        name="openai",
        summary="answers chats in the way of OpenAI's chat completions, streaming",
        aliases=("chat", "openai-chat"),
        example=("--text", "I feel that my tests take too long", "--stream"),
    ),
    Template(
        name="typed",
        summary="tells what a text is about, by methods with names and types of their own",
        aliases=("typed-methods", "methods", "pythonic"),
        example=("--method", "keywords", "--arg", "text=the keeper of the light keeps a light"),
    ),
    Template(
        name="text-classifier",
        summary="labels a text",
        example=("--text", "Guten Morgen, wie geht es dir?"),
        checkpoint="a sequence classification model, such as distilbert-base-uncased-finetuned-sst-2-english",
    ),
    Template(
        name="text-embedder",
        summary="turns a text into a vector",
        aliases=("embedder",),
        example=("--text", "a quiet evening by the sea"),
        checkpoint="a sentence embedding model, such as sentence-transformers/all-MiniLM-L6-v2",
    ),
    Template(
        name="audio-to-text",
        summary="writes down a recording, streaming: speech recognition",
        aliases=("speech-recognition", "asr"),
        example=("--audio", "samples/hello.wav", "--stream"),
        checkpoint="a speech recognition model, such as openai/whisper-tiny",
    ),
    Template(
        name="audio-classifier",
        summary="labels a recording",
        example=("--audio", "samples/tone-and-noise.wav"),
    ),
    Template(
        name="multimodal-to-text",
        summary="answers a text about an image with a text, streaming",
        aliases=("multimodal", "vlm"),
        example=("--input", "@samples/question.json"),
    ),
)


def find_template(name: str, *, is_checkpoint: bool = False) -> Template:
    """The template of a name or alias.

    Raises:
        InvalidRequest: There is none, or none for a checkpoint; the message names those that there are.
    """
    for template in TEMPLATES:
        if name.lower() in (template.name, *template.aliases):
            if is_checkpoint and not template.checkpoint:
                those = join_names(is_checkpoint=True)
                raise InvalidRequest(
                    f"{template.name} has no variant with a checkpoint; these have one: {those}",
                    hint=f"modelyard init DIR --template {template.name}, and load the checkpoint in 1/model.py",
                )
            return template
    known = {alias: template.name for template in TEMPLATES for alias in (template.name, *template.aliases)}
    close = difflib.get_close_matches(name.lower(), known, n=1)
    meant = f"did you mean {known[close[0]]!r}? " if close else ""
    raise InvalidRequest(
        f"there is no template {name!r}; {meant}There are: {join_names()}", hint="modelyard init --list"
    )


def join_names(*, is_checkpoint: bool = False) -> str:
    """The names of all templates, or of those with a variant for checkpoints."""
    return ", ".join(template.name for template in TEMPLATES if template.checkpoint or not is_checkpoint)
