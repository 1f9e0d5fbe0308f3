"""The guide's commands, `python -m clarifai...`, as what they are here: `modelyard run` and `modelyard upload`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from modelyard.cli.main import main

IDLE = {
    "skip_dockerfile": "no Dockerfile is written: environments are made from requirements.txt",
    "keep_env": "the environment is kept in the cache anyway",
    "keep_image": "no image is made",
    "mode": "the model runs in an isolated environment",
    "test": "the model is tested anyway",
}
"""Published options that change nothing here, and why."""


def run_locally(arguments: Sequence[str] | None = None) -> None:
    """`python -m clarifai.runners.models.model_run_locally --model_path DIR`."""
    parser = _make_parser("model_run_locally", "Test a model folder on this machine.")
    for name in ("--skip_dockerfile", "--keep_env", "--keep_image", "-t/--test"):
        parser.add_argument(*name.split("/"), action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--mode", choices=("env", "container"), default=None, help=argparse.SUPPRESS)
    parser.add_argument("-p", "--port", type=int, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    _explain_idle(options)
    _run("run", options.model_path, *([] if options.port is None else ["--serve", "--port", str(options.port)]))


def upload(arguments: Sequence[str] | None = None) -> None:
    """`python -m clarifai.runners.models.model_upload --model_path DIR`."""
    parser = _make_parser("model_upload", "Upload a model folder as a new version, and wait until it serves.")
    parser.add_argument(
        "--download_checkpoints", action="store_true", help="fetch the checkpoints here and send them with the folder"
    )
    parser.add_argument("--skip_dockerfile", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    _explain_idle(options)
    _run("upload", options.model_path, *(["--send-checkpoints"] if options.download_checkpoints else []))


def serve(arguments: Sequence[str] | None = None) -> None:
    """`python -m clarifai.runners.server --model_path DIR`."""
    parser = _make_parser("server", "Serve a model folder on this machine.")
    parser.add_argument("--port", type=int, default=8000, help="[default: 8000]")
    options, others = parser.parse_known_args(arguments)
    if others:
        print(f"note: without effect here: {' '.join(others)}", file=sys.stderr)
    _run("run", options.model_path, "--serve", "--port", str(options.port))


def _make_parser(module: str, description: str) -> argparse.ArgumentParser:
    package = "clarifai.runners" if module == "server" else "clarifai.runners.models"
    parser = argparse.ArgumentParser(prog=f"python -m {package}.{module}", description=description)
    parser.add_argument("--model_path", required=True, metavar="DIR", help="the model folder")
    return parser


def _explain_idle(options: argparse.Namespace) -> None:
    for name, reason in IDLE.items():
        if getattr(options, name, None):
            print(f"note: --{name} has no effect here: {reason}", file=sys.stderr)


def _run(*arguments: str) -> None:
    """The command of ours, with its errors and exit codes."""
    sys.argv = ["modelyard", *arguments]
    main()
