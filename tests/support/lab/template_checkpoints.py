"""Makes tiny, randomly initialised checkpoints of the kinds that `modelyard init --checkpoint` takes.

    PYTHON_OF_THE_EXAMPLES template_checkpoints.py DIR

Four of them are the examples' own (`checkpoints.py`); these are the others.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from checkpoints import make_detr, make_llama, make_vit, make_whisper, spread, train_tokenizer
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
)

SPECIAL = ["[PAD]", "[UNK]"]
LETTERS = ["<pad>", "<s>", "</s>", "<unk>", "|", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ'"]


def make_classifier(folder: Path) -> None:
    """A BERT with two labels."""
    model = BertForSequenceClassification(make_bert_config(id2label={0: "NEGATIVE", 1: "POSITIVE"}))
    spread(model.classifier, 40)
    model.save_pretrained(folder)
    save_tokenizer(folder)


def make_embedder(folder: Path) -> None:
    """A BERT as sentence-transformers keeps it, which is pooled by its first token."""
    BertModel(make_bert_config()).save_pretrained(folder)
    save_tokenizer(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))


def make_speller(folder: Path) -> None:
    """A speech model that spells: one letter for each moment (CTC)."""
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "vocab.json"))
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    config = Wav2Vec2Config(
        vocab_size=len(LETTERS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        conv_dim=(32,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(folder)


def make_bert_config(**changes: object) -> BertConfig:
    return BertConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        initializer_range=0.5, **changes,
    )  # fmt: skip


def save_tokenizer(folder: Path) -> None:
    tokenizer = train_tokenizer(SPECIAL, size=200)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=SPECIAL[0], unk_token=SPECIAL[1], model_max_length=64
    ).save_pretrained(folder)


MAKERS: dict[str, Callable[[Path], None]] = {
    "image-classifier": make_vit,
    "image-detector": make_detr,
    "text-to-text": make_llama,
    "audio-to-text": make_whisper,
    "text-classifier": make_classifier,
    "text-embedder": make_embedder,
    "speller": make_speller,
}


def main(root: Path) -> None:
    """One folder for each template, named like it; and a second kind of speech recognition."""
    for seed, (name, make) in enumerate(MAKERS.items()):
        torch.manual_seed(seed)
        (root / name).mkdir(parents=True, exist_ok=True)
        make(root / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
