"""Echoes what it is given: as little model as there can be, so that the way to it is what is measured."""

import time

from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

from clarifai.runners.models.model_runner import ModelRunner


class Echo(ModelRunner):
    def load_model(self):
        pass

    def predict(self, request):
        answer = service_pb2.MultiOutputResponse()
        for one in request.inputs:
            output = answer.outputs.add()
            output.status.code = status_code_pb2.SUCCESS
            output.data.CopyFrom(one.data)
        return answer

    def generate(self, request):
        """As many messages as the request's text says; the first holds when it was made."""
        for number in range(int(request.inputs[0].data.text.raw)):
            answer = service_pb2.MultiOutputResponse()
            output = answer.outputs.add()
            output.status.code = status_code_pb2.SUCCESS
            output.data.text.raw = f"{time.monotonic_ns():020d}" if number == 0 else f"token {number:014d}"
            yield answer
