"""`modelyard predict`: ask a model."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click

from modelyard.cli.answers import print_answer
from modelyard.cli.connect import connect, model_argument
from modelyard.cli.inputs import read_media, read_text
from modelyard.cli.output import as_dict, json_option, print_json
from modelyard.client.arguments import find_method, make_arguments
from modelyard.client.inputs import (
    make_file_input,
    make_url_input,
    read_json_inputs,
)
from modelyard.client.names import ModelName
from modelyard.client.outputs import find_failure
from modelyard.client.predict import Predict
from modelyard.client.versions import Versions
from modelyard.errors import InvalidInput
from modelyard.wire.messages import MultiOutputResponse
from modelyard.wire.signatures import kind_of

Many = tuple[str, ...]


class _PredictCommand(click.Command):
    """`--json` is the output switch of every command; followed by a document it is that input, too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read `--json DOCUMENT` as `--json --input DOCUMENT`: no model's name begins like JSON."""
        spread = []
        for before, one in zip(["", *args], args, strict=False):
            if before == "--json" and one.startswith(("{", "[", "@")):
                spread.append("--input")
            spread.append(one)
        return super().parse_args(ctx, spread)


@click.command("predict", cls=_PredictCommand)
@model_argument
@click.option("--text", "texts", multiple=True, help="A text; '-' reads it from stdin.")
@click.option("--image", "images", multiple=True, metavar="FILE|URL", help="An image; '-' reads it from stdin.")
@click.option("--audio", "audios", multiple=True, metavar="FILE|URL", help="A recording; or '-'.")
@click.option("--video", "videos", multiple=True, metavar="FILE|URL", help="A video; or '-'.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Anything; its ending says what it is.")
@click.option("--url", "urls", multiple=True, help="Anything behind a URL, fetched by the server.")
@click.option("--input", "documents", multiple=True, metavar="JSON|@FILE", help='V2 data: {"text": {"raw": "hi"}}.')
@click.option("--param", "params", multiple=True, metavar="KEY=VALUE", help="For the model; VALUE is JSON or a text.")
@click.option("--method", "method", default="", metavar="NAME", help="A typed method of the model.")
@click.option("--arg", "arguments", multiple=True, metavar="NAME=VALUE", help="Of a typed method: text, @FILE or JSON.")
@click.option("--stream", "is_streamed", is_flag=True, help="Print the answer while the model makes it (generate).")
@json_option
def command(
    model: ModelName,
    texts: Many,
    images: Many,
    audios: Many,
    videos: Many,
    files: Many,
    urls: Many,
    documents: Many,
    params: Many,
    method: str,
    arguments: Many,
    *,
    is_streamed: bool,
    as_json: bool,
) -> None:
    """Ask a model. Inputs of several options are sent together, one output comes for each.

    MODEL is MODEL, APP/MODEL or USER/APP/MODEL, with @VERSION (id or number) where wanted. --json prints JSON, as
    everywhere: one document, with --stream one line an answer. A document after it, --json '{...}', is the input.

    A typed method is called by --method and --arg instead; what it answers piece by piece is printed so.
    """
    named = dict(_read_param(one) for one in params)
    inputs = [
        *(read_text(one) for one in texts),
        *(read_media("image", one) for one in images),
        *(read_media("audio", one) for one in audios),
        *(read_media("video", one) for one in videos),
        *(make_file_input(one) for one in files),
        *(make_url_input(one) for one in urls),
        *(one for document in documents for one in read_json_inputs(_read_document(document))),
    ]
    if method or arguments:
        if inputs:
            raise click.UsageError("--method and --arg go without other inputs")
        with connect() as transport:
            signature = find_method(Versions(transport).get(model).method_signatures, method)
            typed = make_arguments(signature, arguments)
            kind = kind_of(signature)
            _show(Predict(transport).ask(kind, model, [typed], named), is_piece=kind != "predict", as_json=as_json)
        return
    if not inputs:
        raise InvalidInput("no input is given", hint=f"modelyard predict {model} --text hello")
    with connect() as transport:
        answers = Predict(transport).ask("generate" if is_streamed else "predict", model, inputs, named)
        _show(answers, is_piece=is_streamed, as_json=as_json)


def _show(answers: Iterable[MultiOutputResponse], *, is_piece: bool, as_json: bool) -> None:
    failure = None
    for answer in answers:
        if as_json:
            print_json(as_dict(answer))
        else:
            print_answer(answer, is_piece=is_piece)
        failure = failure or find_failure(answer)
    if is_piece and not as_json:
        click.echo()
    if failure:
        raise failure


def _read_document(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"--input {text}: {error.strerror}") from None


def _read_param(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InvalidInput(f"--param {text!r} is not KEY=VALUE", hint="such as --param temperature=0.7")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
