"""Base classes of the published SDK on our ModelClass: what they import, define and answer. Prints JSON."""

import json

from clarifai.runners.models.openai_class import OpenAIModelClass as Same
from clarifai.runners.utils.openai_convertor import build_openai_messages

from clarifai.runners import MCPModelClass, OpenAIModelClass
from clarifai.runners.utils.data_types import NamedFieldsMeta
from clarifai.runners.utils.data_utils import DataConverter
from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.typed_marks import list_typed_methods
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.worker.front import make_front


class Chat(OpenAIModelClass):
    client = object()
    model = "mine"

    @OpenAIModelClass.method
    def predict(self, prompt: str) -> str:
        return json.dumps(build_openai_messages(prompt=prompt, image=None, images=None, messages=None))


request = PostModelOutputsRequest()
request.inputs.add().data.text.raw = "hi"
answer = make_front(Chat()).predict(request)
print(
    json.dumps(
        {
            "ours": [issubclass(one, ModelClass) for one in (OpenAIModelClass, MCPModelClass, Same)],
            "published": [one.__module__ for one in (NamedFieldsMeta, DataConverter)],
            "methods": sorted((name, one.kind) for name, one in list_typed_methods(Chat).items()),
            "mcp": sorted(list_typed_methods(MCPModelClass)),
            "answer": json.loads(answer.outputs[0].data.text.raw)[0]["role"],
        }
    )
)
