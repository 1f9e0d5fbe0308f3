"""Runs in an environment with a published `clarifai` 10.x: each way to call a model; prints what came back as JSON.

Arguments: user id, model id. CLARIFAI_API_BASE and CLARIFAI_PAT are in the environment, as for any user.
"""

import json
import os
import sys

from clarifai.client.model import Model

user_id, model_id = sys.argv[1:]
model = Model(
    user_id=user_id,
    app_id="main",
    model_id=model_id,
    base_url=os.environ["CLARIFAI_API_BASE"],
    pat=os.environ["CLARIFAI_PAT"],
)


def texts(response):
    return [output.data.text.raw for output in response.outputs]


predicted = model.predict_by_bytes(b"hello", input_type="text")
with_params = model.predict_by_bytes(
    b"params", input_type="text", inference_params={"temperature": 0.5, "max_tokens": 10}
)
generated = model.generate_by_bytes(b"one two three", input_type="text")
streamed = model.stream_by_bytes(iter([b"first", b"second"]), input_type="text")
try:
    model.predict_by_bytes(b"raise", input_type="text")
    failure = ""
except Exception as error:
    failure = str(error)

print(
    json.dumps(
        {
            "predict": texts(predicted),
            "params": texts(with_params),
            "generate": [texts(one) for one in generated],
            "stream": [texts(one) for one in streamed],
            "failure": failure,
        }
    )
)
