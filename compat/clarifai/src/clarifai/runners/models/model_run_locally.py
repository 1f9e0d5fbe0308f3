"""`python -m clarifai.runners.models.model_run_locally --model_path DIR`: the guide's command to test a folder."""

from __future__ import annotations

from modelyard.cli.documented import run_locally

__all__ = ["run_locally"]

if __name__ == "__main__":
    run_locally()
