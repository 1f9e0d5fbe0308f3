"""A model without requirements: answers each text with a greeting in front. `benchmarks/local_run.py` tries it."""

from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

from clarifai.runners.models.model_runner import ModelRunner


class StringCat(ModelRunner):
    def load_model(self):
        self.prefix = "Hello, "

    def predict(self, request):
        outputs = []
        for one in request.inputs:
            output = resources_pb2.Output()
            output.data.text.raw = self.prefix + one.data.text.raw
            output.status.code = status_code_pb2.SUCCESS
            outputs.append(output)
        return service_pb2.MultiOutputResponse(outputs=outputs)
