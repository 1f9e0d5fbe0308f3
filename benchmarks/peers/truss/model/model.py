"""Truss: echoes a JSON object."""


class Model:
    def __init__(self, **kwargs):
        pass

    def load(self):
        pass

    async def predict(self, model_input):
        return {"text": model_input["text"]}
