"""Runs in an environment with a published `clarifai-grpc` alone: predict, generate and stream; prints JSON.

Arguments: host:port, token, user id, model id.
"""

import json
import sys

from clarifai_grpc.channel.clarifai_channel import ClarifaiChannel
from clarifai_grpc.grpc.api import resources_pb2, service_pb2, service_pb2_grpc

address, token, user_id, model_id = sys.argv[1:]
host, port = address.split(":")
metadata = (("authorization", f"Key {token}"),)
stub = service_pb2_grpc.V2Stub(ClarifaiChannel.get_insecure_grpc_channel(base=host, port=int(port)))


def request(text):
    return service_pb2.PostModelOutputsRequest(
        user_app_id=resources_pb2.UserAppIDSet(user_id=user_id, app_id="main"),
        model_id=model_id,
        inputs=[resources_pb2.Input(data=resources_pb2.Data(text=resources_pb2.Text(raw=text)))],
    )


def text(response):
    return response.outputs[0].data.text.raw


predicted = stub.PostModelOutputs(request("hello"), metadata=metadata)
generated = stub.GenerateModelOutputs(request("one two"), metadata=metadata)
streamed = stub.StreamModelOutputs(iter([request("a"), request("b")]), metadata=metadata)
refused = stub.PostModelOutputs(request("hello"), metadata=(("authorization", "Key wrong"),))
print(
    json.dumps(
        {
            "predict": [predicted.status.code, text(predicted)],
            "generate": [text(one) for one in generated],
            "stream": [text(one) for one in streamed],
            "wrong_key": refused.status.code,
        }
    )
)
