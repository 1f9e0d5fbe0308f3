"""Tiny, randomly initialised checkpoints of the examples' architectures, laid out as their repositories are.

The files beside the weights have the published names and keys; only sizes differ. A seed makes them the same each time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ViTConfig,
    ViTForImageClassification,
    WhisperConfig,
    WhisperForConditionalGeneration,
    WhisperTokenizer,
)

TEXT = [
    "The keeper of the light writes the name of every boat in a book.",
    "In the morning the boats go out, and in the evening the boats come home.",
    "When the wind is in the west he can hear the bell of the harbour; 1234567890 times!",
] * 4
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LABELS = ["N/A", "person", "bicycle", "car", "N/A", "boat", "bench"]
LANGUAGES = ["<|en|>", "<|de|>", "<|fr|>"]


def make_vit(folder: Path) -> None:
    """Falconsai/nsfw_image_detection."""
    config = ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8,
        id2label={0: "normal", 1: "nsfw"}, label2id={"normal": 0, "nsfw": 1},
    )  # fmt: skip
    model = ViTForImageClassification(config)
    spread(model.classifier, 40)
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True, "do_rescale": True, "do_resize": True,
            "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
            "image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 1 / 255,
            "size": {"height": 32, "width": 32},
        },
    )  # fmt: skip


def make_detr(folder: Path) -> None:
    """facebook/detr-resnet-50, branch no_timm."""
    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage4"]
    )
    config = DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=32,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=64,
        decoder_ffn_dim=64, num_queries=12, init_std=0.3, id2label=dict(enumerate(LABELS)),
        label2id={name: number for number, name in enumerate(LABELS)},
    )  # fmt: skip
    model = DetrForObjectDetection(config)
    spread(model.class_labels_classifier, 0.6)
    spread(model.bbox_predictor.layers[-1], 0.3)
    spread(model.model.query_position_embeddings, 3)
    spread(model.model.decoder.layers[0].encoder_attn.q_proj, 3)
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "do_normalize": True, "do_resize": True, "format": "coco_detection",
            "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
            "image_processor_type": "DetrImageProcessor", "size": {"shortest_edge": 64, "longest_edge": 107},
        },
    )  # fmt: skip


def make_llama(folder: Path) -> None:
    """HuggingFaceTB/SmolLM2-360M-Instruct."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer(special, size=200),
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
        pad_token="<|im_end|>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=64,
        vocab_size=len(tokenizer), max_position_embeddings=8192, initializer_range=0.3, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, pad_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)


def make_whisper(folder: Path) -> None:
    """openai/whisper-tiny."""
    names = [
        "<|endoftext|>", "<|startoftranscript|>", *LANGUAGES, "<|translate|>", "<|transcribe|>", "<|startoflm|>",
        "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", *(f"<|{number / 50:.2f}|>" for number in range(1501)),
    ]  # fmt: skip
    words = train_tokenizer([], size=150)
    words.model.save(str(folder))
    tokenizer = WhisperTokenizer(
        vocab=json.loads((folder / "vocab.json").read_text()), merges=[], additional_special_tokens=names[1:11]
    )
    tokenizer.add_tokens(names[11:])
    tokenizer.save_pretrained(folder)
    ids = dict(zip(names, tokenizer.convert_tokens_to_ids(names), strict=True))
    end, start = ids["<|endoftext|>"], ids["<|startoftranscript|>"]
    config = WhisperConfig(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_target_positions=64, init_std=0.3,
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    spread(model.model.decoder.layers[0].encoder_attn.out_proj, 8)
    spread(model.model.encoder.layers[0].fc2, 4)
    model.generation_config = GenerationConfig(
        forced_decoder_ids=[[1, None], [2, ids["<|transcribe|>"]]],
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=start, max_length=20,
        is_multilingual=True, lang_to_id={name: ids[name] for name in LANGUAGES},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        no_timestamps_token_id=ids["<|notimestamps|>"], prev_sot_token_id=ids["<|startofprev|>"],
        begin_suppress_tokens=[end], return_timestamps=False, alignment_heads=[[0, 0]],
        suppress_tokens=[ids[name] for name in names[11:]],
    )  # fmt: skip
    model.save_pretrained(folder)
    write_json(
        folder / "preprocessor_config.json",
        {
            "chunk_length": 30, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80,
            "hop_length": 160, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000, "padding_side": "right",
            "padding_value": 0.0, "processor_class": "WhisperProcessor", "return_attention_mask": False,
            "sampling_rate": 16000,
        },
    )  # fmt: skip


def train_tokenizer(special: list[str], *, size: int, alphabet: Sequence[str] = ()) -> Tokenizer:
    """Byte pairs of a few sentences; other characters only with the alphabet of all bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=list(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def spread(layer: torch.nn.Module, factor: float) -> None:
    """Random weights are too timid, or too bold, for answers that differ from each other."""
    with torch.no_grad():
        layer.weight.mul_(factor)


def write_json(path: Path, document: dict[str, object]) -> None:
    path.write_text(json.dumps(document, indent=2) + "\n")


MAKERS: dict[str, Callable[[Path], None]] = {
    "image-classifier": make_vit,
    "image-detector": make_detr,
    "llm": make_llama,
    "speech-recognition": make_whisper,
}


def make_checkpoints(root: Path) -> None:
    """One folder for each example, named like it."""
    for seed, (name, make) in enumerate(MAKERS.items()):
        torch.manual_seed(seed)
        (root / name).mkdir(parents=True, exist_ok=True)
        make(root / name)
