"""What transformers itself says about each of the media and prompts, one at a time: its pipelines and its own calls.

And what the example's `Reply` makes of tokens that are parts of characters, which random networks do not write.
"""

from __future__ import annotations

import sys
import wave
from pathlib import Path

import av
import numpy as np
import torch
from checkpoints import train_tokenizer
from media import FPS
from PIL import Image, ImageOps
from tokenizers import pre_tokenizers
from transformers import (
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForObjectDetection,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedTokenizerFast,
    pipeline,
)

EXAMPLES = Path(__file__).parents[3] / "examples"
WORDS = "Grüße, 你好, the keeper 🙂"
PROMPTS = ["The keeper", "In the morning the boats go out, and then", "He hears the bell"]
MAX_TOKENS = 24
SAMPLE_MS = 500


def expect(checkpoints: Path, media: Path) -> dict[str, object]:
    torch.set_grad_enabled(False)
    return {
        "image-classifier": expect_concepts(checkpoints / "image-classifier", media),
        "image-detector": expect_boxes(checkpoints / "image-detector", media),
        "llm": expect_texts(checkpoints / "llm"),
        "pieces": list_pieces(),
        "speech-recognition": expect_words(checkpoints / "speech-recognition", media),
    }


def expect_concepts(folder: Path, media: Path) -> dict[str, list[tuple[str, float]]]:
    """The labels of each image with their values, falling."""
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    ask = pipeline("image-classification", model=str(folder), image_processor=processor)
    return {
        name: [(one["label"], one["score"]) for one in ask(str(media / name), top_k=None)]
        for name in ("a.png", "b.png", "tall.png")
    }


def expect_boxes(folder: Path, media: Path) -> dict[str, list[list[object]]]:
    """For each picture its objects by falling score: label, score, box in pixels, size of the picture."""
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    model = AutoModelForObjectDetection.from_pretrained(folder).eval()

    def find(image: Image.Image) -> list[object]:
        found = processor.post_process_object_detection(
            model(**processor(image, return_tensors="pt")), threshold=0.5, target_sizes=[image.size[::-1]]
        )[0]
        rows = zip(found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist(), strict=True)
        return [
            (model.config.id2label[label], score, box, image.size)
            for score, label, box in sorted(rows, key=lambda row: -row[0])
        ]

    frames = list_frames(media / "clip.mp4")
    wanted = frames[:: SAMPLE_MS * FPS // 1000]
    turned = [image.transpose(Image.Transpose.ROTATE_270) for image in wanted]
    return {
        **{name: [find(Image.open(media / name).convert("RGB"))] for name in ("a.png", "b.png", "tall.png")},
        "turned.png": [find(ImageOps.exif_transpose(Image.open(media / "turned.png")).convert("RGB"))],
        "clip.mp4": [find(image) for image in wanted],
        "turned.mp4": [find(image) for image in turned],
    }


def list_frames(path: Path) -> list[Image.Image]:
    with av.open(path) as file:
        return [frame.to_image() for frame in file.decode(video=0)]


def expect_texts(folder: Path) -> dict[str, str]:
    """What follows each prompt, greedily."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    texts = {}
    for prompt in PROMPTS:
        messages = [{"role": "user", "content": prompt}]
        inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
        tokens = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_TOKENS)
        texts[prompt] = tokenizer.decode(tokens[0, inputs.input_ids.shape[1] :], skip_special_tokens=True)
    return texts


def expect_words(folder: Path, media: Path) -> dict[str, str]:
    """What is said in each sound, and one in another language; 16 kHz sounds, so that nothing has to be resampled."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForSpeechSeq2Seq.from_pretrained(folder).eval()

    def hear(name: str, **params: str) -> str:
        samples = read_samples(media / name)
        inputs = processor(samples, sampling_rate=16_000, return_tensors="pt", return_attention_mask=True)
        tokens = model.generate(inputs.input_features, attention_mask=inputs.attention_mask, **params)
        return processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()

    return {
        "tone.wav": hear("tone.wav"),
        "other.wav": hear("other.wav"),
        "tone.wav de translate": hear("tone.wav", language="de", task="translate"),
    }


def list_pieces() -> list[str]:
    """What comes of each of the tokens of WORDS, most of which are single bytes."""
    sys.path.insert(0, str(EXAMPLES / "llm" / "1"))
    from reply import Reply  # of the example

    words = train_tokenizer([], size=300, alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words)
    reply = Reply(tokenizer=tokenizer)
    pieces = []
    for token in [*tokenizer(WORDS).input_ids, *tokenizer(WORDS[-1]).input_ids[:-1]]:
        reply.take(token)
        pieces.append(reply.pop())
    reply.finish()
    return [*pieces, reply.pop()]


def read_samples(path: Path) -> np.ndarray:
    """The samples of a mono WAV with 16 bits, read by hand."""
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
