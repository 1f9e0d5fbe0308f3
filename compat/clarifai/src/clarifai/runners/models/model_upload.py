"""`python -m clarifai.runners.models.model_upload --model_path DIR`: the guide's command to upload a folder."""

from __future__ import annotations

from modelyard.cli.documented import upload

__all__ = ["upload"]

if __name__ == "__main__":
    upload()
