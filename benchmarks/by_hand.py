"""What an author does by hand to try a model folder: import 1/model.py, load it, predict one text. Prints the answer.

Runs in a venv that pip filled; our runtime is on PYTHONPATH for the documented imports, as it is in `modelyard run`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2

from modelyard.worker.load import load_model

folder, sample = Path(sys.argv[1]), Path(sys.argv[2])
model = load_model(folder.resolve())
data = resources_pb2.Data()
if sample.suffix == ".png":
    data.image.base64 = sample.read_bytes()
else:
    data.text.raw = sample.read_text().strip()
request = service_pb2.PostModelOutputsRequest(inputs=[resources_pb2.Input(data=data)])
print(str(model.runner.predict(request))[:200])
