"""Runs in an environment with a published `clarifai` 12.x: its model client and its listings; prints JSON.

Arguments: user id, the echo model's id, the id of a model that answers `string_value`. The generic `predict` of this
client cannot read any answer with `text` (it moves the text to `string_value`, leaves an empty `text` behind, and then
finds two answers where it wants one), so another model is asked. CLARIFAI_API_BASE and CLARIFAI_PAT are in the
environment, as for any user.
"""

import json
import os
import sys

from clarifai.client.app import App
from clarifai.client.model import Model
from clarifai.client.user import User

user_id, model_id, value_model_id = sys.argv[1:]
account = {"base_url": os.environ["CLARIFAI_API_BASE"], "pat": os.environ["CLARIFAI_PAT"]}


def text(response):
    return response.outputs[0].data.text.raw


model = Model(user_id=user_id, app_id="main", model_id=model_id, **account)
value_model = Model(user_id=user_id, app_id="main", model_id=value_model_id, **account)
try:
    Model(user_id=user_id, app_id="main", model_id="never-made", **account)
    missing = ""
except Exception as error:
    missing = str(error)

print(
    json.dumps(
        {
            "predict_by_bytes": text(model.predict_by_bytes(b"hello", input_type="text")),
            "without_input_type": text(model.predict_by_bytes(b"hello")),
            "generate_by_bytes": [text(one) for one in model.generate_by_bytes(b"one two", input_type="text")],
            "stream_by_bytes": [text(one) for one in model.stream_by_bytes(iter([b"a", b"b"]), input_type="text")],
            "generic_predict": value_model.predict("hello there"),
            "apps": [app.id for app in User(user_id=user_id, **account).list_apps()],
            "models": [one.id for one in App(user_id=user_id, app_id="main", **account).list_models()],
            "versions": len(list(model.list_versions())),
            "missing": missing,
        }
    )
)
