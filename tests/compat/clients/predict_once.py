"""Runs in an environment with a published `clarifai`: one request, whose answer is printed as JSON.

Arguments: user id, model id. CLARIFAI_API_BASE and CLARIFAI_PAT are in the environment, as for any user.
"""

import json
import os
import sys

from clarifai.client.model import Model

user_id, model_id = sys.argv[1:]
account = {"base_url": os.environ["CLARIFAI_API_BASE"], "pat": os.environ["CLARIFAI_PAT"]}
model = Model(user_id=user_id, app_id="main", model_id=model_id, **account)
answer = model.predict_by_bytes(b"hello", input_type="text")
print(json.dumps(answer.outputs[0].data.text.raw))
