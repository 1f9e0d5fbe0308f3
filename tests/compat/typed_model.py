"""A model in the style of newer published folders: every type there is, both ways. Tests serve it, and read it with a
published SDK, too."""

from typing import Dict, Generator, Iterable, Iterator, List, Tuple  # noqa: UP035 - as published folders write it

import numpy as np
from PIL import Image as PILImage

from clarifai.runners.models.model_class import ModelClass
from clarifai.runners.utils.data_types import (
    JSON,
    Audio,
    Concept,
    Frame,
    Image,
    NamedFields,
    Region,
    Text,
    Video,
)
from clarifai.runners.utils.data_utils import Param


class Base(ModelClass):
    @ModelClass.method
    def later(self, x: int) -> int:
        return x

    @ModelClass.method
    def again(self, x: int = 1) -> int:
        """Is defined again below."""
        return x


class Everything(Base):
    def load_model(self):
        self.mark = "!"

    @ModelClass.method
    def predict(self, text1: str = "") -> str:
        """Say it
        louder."""
        return text1 + self.mark

    @ModelClass.method
    def generate(self, text1: str = "", n: int = 3) -> Iterator[str]:
        for number in range(n):
            yield f"{text1}{number}"

    @ModelClass.method
    def stream(self, input_iterator: Iterator[str], suffix: str = "?") -> Iterator[str]:
        for one in input_iterator:
            yield one + suffix

    @ModelClass.method
    def again(self, x: int = 2) -> Tuple[int, str]:  # noqa: UP006
        return x, str(x)

    @ModelClass.method
    def params(
        self,
        prompt: str,
        temperature: float = Param(default=0.7, description="How wild.", min_value=0, max_value=1.5),
        mode: str = Param(default="a", choices=["a", "b"]),
        top_k: int = Param(default=5, is_param=False),
        tools: List[dict] = None,  # noqa: UP006, RUF013
        image: Image = None,
        tiny: float = 1e-8,
        options: dict = {"a": 1},  # noqa: B006
        stops: List[str] = ["."],  # noqa: B006, UP006
        mixed: list = [1, "x"],  # noqa: B006
        flag: bool = False,
    ) -> str:
        shown = (prompt, temperature, mode, top_k, tools, image, tiny, options, stops, mixed, flag)
        return repr(shown)

    @ModelClass.method
    def everything(
        self,
        s: str,
        i: int,
        f: float,
        b: bool,
        raw: bytes,
        img: Image,
        pil: PILImage.Image,
        arr: np.ndarray,
        txt: Text,
        d: dict,
        l: list,  # noqa: E741
        counts: Dict[str, int],  # noqa: UP006
        ls: List[str],  # noqa: UP006
        li: List[int],  # noqa: UP006
        lf: List[float],  # noqa: UP006
        limg: List[Image],  # noqa: UP006
        pairs: List[Tuple[int, str]],  # noqa: UP006
        grid: List[List[int]],  # noqa: UP006
        t: Tuple[str, int],  # noqa: UP006
        nf: NamedFields(x=int, y=List[str]),  # noqa: UP006
        cs: List[Concept],  # noqa: UP006
        c: Concept,
        rs: List[Region],  # noqa: UP006
        fr: List[Frame],  # noqa: UP006
        au: Audio,
        vi: Video,
        js: JSON,
        rows: List[Dict[str, str]],  # noqa: UP006
    ) -> NamedFields(seen=list, boxes=List[Region], array=np.ndarray, picture=Image, best=Concept):  # noqa: UP006
        seen = [
            s, i, f, b, raw.decode(), len(img.bytes) > 0, list(pil.size), arr.tolist(), txt.text, d, l, counts, ls, li,
            lf, [one.url for one in limg], [list(one) for one in pairs], grid, list(t), nf.x, nf.y,
            [one.name for one in cs], c.id, [one.box for one in rs], [[one.index, one.time] for one in fr],
            au.bytes.decode(), vi.url, js, rows,
        ]  # fmt: skip
        return NamedFields(seen=seen, boxes=rs, array=arr * 2, picture=img, best=c)

    @ModelClass.method
    def pictures(self, picture: Image) -> Generator[Image, None, None]:
        yield picture
        yield Image.from_pil(picture.to_pil().rotate(90, expand=True))

    @ModelClass.method
    def texts(self, text: Text = Text("hey")) -> Iterable[Text]:  # noqa: B008
        yield text

    @ModelClass.method
    def track(self, points: Iterator[NamedFields(x=int, y=str)]) -> Iterator[NamedFields(z=str)]:
        for one in points:
            yield NamedFields(z=one.y * one.x)

    @ModelClass.method
    def zeros(self, i: int = 7, s: str = "seven", b: bool = True) -> Tuple[int, str, bool]:  # noqa: UP006
        return i, s, b

    @ModelClass.method
    def zero(self) -> int:
        return 0

    @ModelClass.method
    def fail(self, why: str) -> str:
        raise ValueError(why)

    @ModelClass.method
    def lie(self) -> int:
        return "no number"

    @ModelClass.method
    def count(self, text: str) -> str:
        self.set_output_context(prompt_tokens=len(text), completion_tokens=2)
        return text

    def helper(self, x):
        """No method of the model."""
        return x
