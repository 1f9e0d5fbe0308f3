"""Ask a deployed model about an image over REST, with the standard library alone.

    python examples/predict_over_rest.py digits examples/digits/samples/3.png

Reads CLARIFAI_API_BASE, CLARIFAI_PAT and CLARIFAI_USER_ID: `eval "$(modelyard env)"`.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def predict(model_id: str, image: bytes) -> dict[str, Any]:
    """The JSON answer, whatever its HTTP status."""
    user_id = os.environ["CLARIFAI_USER_ID"]
    body = {"inputs": [{"data": {"image": {"base64": base64.b64encode(image).decode()}}}]}
    request = urllib.request.Request(
        f"{os.environ['CLARIFAI_API_BASE']}/v2/users/{user_id}/apps/main/models/{model_id}/outputs",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Key {os.environ['CLARIFAI_PAT']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


def main() -> None:
    """Print the likeliest concepts."""
    answer = predict(sys.argv[1], Path(sys.argv[2]).read_bytes())
    if answer["status"]["code"] != 10000:
        sys.exit(f"predict failed: {answer['status'].get('description')}")
    for concept in answer["outputs"][0]["data"]["concepts"][:3]:
        print(f"{concept['value']:.4f}  {concept['name']}")


if __name__ == "__main__":
    main()
