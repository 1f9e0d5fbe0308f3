"""`python -m clarifai.runners.server --model_path DIR`: serve a folder here, as published images start it."""

from __future__ import annotations

from modelyard.cli.documented import serve

__all__ = ["serve"]

if __name__ == "__main__":
    serve()
