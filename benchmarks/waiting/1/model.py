"""Waits 5 ms for each request, in one thread, as for an accelerator: what more replicas are for."""

import time

from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

from clarifai.runners.models.model_runner import ModelRunner


class Waiting(ModelRunner):
    def load_model(self):
        pass

    def predict(self, request):
        answer = service_pb2.MultiOutputResponse()
        for one in request.inputs:
            time.sleep(0.005)
            output = answer.outputs.add()
            output.status.code = status_code_pb2.SUCCESS
            output.data.text.raw = one.data.text.raw
        return answer
