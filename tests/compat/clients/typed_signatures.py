"""Prints the signatures that the installed SDK, published or ours, reads off the model of a file: JSON, in order."""

import importlib.util
import json
import sys

from google.protobuf.json_format import MessageToDict

spec = importlib.util.spec_from_file_location("model", sys.argv[1])
model = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model)
cls = model.Everything
if hasattr(cls, "_get_method_infos"):
    found = [one.signature for one in cls._get_method_infos().values()]
else:
    from modelyard.sdk.typed_marks import list_typed_methods

    found = [one.signature for one in list_typed_methods(cls).values()]
print(json.dumps([MessageToDict(one) for one in found]))
