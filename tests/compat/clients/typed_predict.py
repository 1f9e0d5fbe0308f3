"""Runs in an environment with a published `clarifai` 12.x: calls the typed methods of a model; prints JSON.

Arguments: user id, model id. CLARIFAI_API_BASE and CLARIFAI_PAT are in the environment, as for any user.
"""

import asyncio
import json
import os
import sys

import numpy as np
from clarifai.client.model import Model
from PIL import Image as PILImage

from clarifai.runners.utils.data_types import Audio, Concept, Frame, Image, NamedFields, Region, Text, Video

user_id, model_id = sys.argv[1:]
account = {"base_url": os.environ["CLARIFAI_API_BASE"], "pat": os.environ["CLARIFAI_PAT"]}


def make_model():
    return Model(user_id=user_id, app_id="main", model_id=model_id, **account)


def fails(call):
    try:
        call()
    except Exception as error:
        return str(error)
    return "no error"


model = make_model()
picture = PILImage.new("RGB", (4, 2), "red")
rich = model.everything(
    s="é", i=-3, f=0.25, b=True, raw=b"raw", img=Image.from_pil(picture), pil=picture,
    arr=np.arange(6, dtype="float32").reshape(2, 3), txt=Text("text"), d={"a": [1, None, {"b": True}]}, l=[1, "two"],
    counts={"x": 2}, ls=["p", "q"], li=[1, 2], lf=[0.5], limg=[Image(bytes=b"a"), Image(bytes=b"b")],
    pairs=[(1, "a"), (2, "b")], grid=[[1], [], [2, 3]], t=("tt", 4), nf=NamedFields(x=1, y=["why"]),
    cs=[Concept("cat", 0.5), Concept("a dog", 0.25)], c=Concept("bird"), rs=[Region(box=[0.25, 0.5, 0.75, 1.0])],
    fr=[Frame(time=1.5, index=3)], au=Audio(bytes=b"sound"), vi=Video(bytes=b"film"), js={"j": "s"}, rows=[{"k": "v"}],
)  # fmt: skip
answers = {
    "predict": model.predict(text1="x"),
    "positional": model.predict("x"),
    "default": model.predict(),
    "batch": model.predict([{"text1": "a"}, {"text1": "b"}]),
    "generate": list(model.generate(text1="g", n=2)),
    "stream": list(model.stream(iter(["a", "b"]), suffix="#")),
    "again": list(model.again()),
    "params": model.params("p"),
    "params_given": model.params("p", temperature=0.25, tools=[{"type": "f"}], stops=[], options={}, flag=True),
    "seen": rich.seen,
    "boxes": [one.box for one in rich.boxes],
    "array": [rich.array.tolist(), str(rich.array.dtype)],
    "picture": list(rich.picture.to_pil().size),
    "best": [rich.best.id, rich.best.name, rich.best.value],
    "pictures": [list(one.to_pil().size) for one in model.pictures(Image.from_pil(picture))],
    "texts": [one.text for one in model.texts(Text("hello"))],
    "track": [one.z for one in model.track(iter([{"x": 2, "y": "a"}, {"x": 3, "y": "b"}]))],
    "zeros": list(model.zeros(i=0, s="", b=False)),
    "zeros_default": list(model.zeros()),
    "zero": model.zero(),
    "methods": sorted(model.client.available_methods()),
    "fail": fails(lambda: model.fail(why="I was told to")),
    "lie": fails(model.lie),
    "by_bytes": model.predict_by_bytes(b"old", input_type="text").outputs[0].data.text.raw,
    "generate_by_bytes": [one.outputs[0].data.text.raw for one in model.generate_by_bytes(b"old", input_type="text")],
    "tokens": model.count("four", with_proto=True)[1].outputs[0].prompt_tokens,
}


async def call_async():
    found = make_model()
    return {
        "async_predict": await (await found.async_predict(text1="x")),
        "async_generate": [one async for one in await (await found.async_generate(text1="g", n=2))],
    }


answers.update(asyncio.run(call_async()))
print(json.dumps(answers))
