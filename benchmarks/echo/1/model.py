"""Echoes texts: as little model as there can be, so that the way to it is what is measured."""

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
            output.data.text.raw = one.data.text.raw
        return answer
