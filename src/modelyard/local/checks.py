"""Does an answer keep what the model's type and its concepts promise? Checked before anybody's client finds out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema import ConceptInfo
from modelyard.local.media import explain_media
from modelyard.wire.messages import Concept, Data, MultiOutputResponse, Output, Region, StatusCode

MAX_FINDINGS = 20
SIDES = ("top_row", "left_col", "bottom_row", "right_col")
BOX_TOLERANCE = 1e-3
"""Models round: a corner this far outside of the image is no mistake."""
_FINE = (StatusCode.ZERO, StatusCode.SUCCESS)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing about an answer. An error breaks the contract; the rest is only unusual."""

    where: str
    """`predict: outputs[0].data.concepts[3]`."""
    problem: str
    """What is there, and what is allowed."""
    fix: str = ""
    is_error: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" + (f"; {self.fix}" if self.fix else "")


def check_answers(
    answers: Sequence[MultiOutputResponse],
    *,
    method: str,
    model_type_id: str,
    concepts: Sequence[ConceptInfo],
    inputs: int,
    kind: str = "",
) -> tuple[Finding, ...]:
    """What is wrong or unusual in the answers of one method.

    Args:
        answers: One of `predict`; all of a stream.
        method: Its name.
        kind: `predict`, `generate` or `stream`, where its name does not say it.
        model_type_id: Decides which fields an output has.
        concepts: Those of the version; empty where any are allowed.
        inputs: How many inputs were sent.
    """
    check = _Check(method, kind or method, model_type_id, concepts)
    if not answers:
        return (Finding(where=method, problem="it gave no answer at all", fix="yield at least one answer"),)
    found: list[Finding] = []
    for number, answer in enumerate(answers):
        where = f"{method}: " if len(answers) == 1 else f"{method}: answer {number + 1}: "
        found += check.check_answer(answer, where, inputs)
    found += check.check_whole(answers)
    return tuple(dict.fromkeys(found))[:MAX_FINDINGS]


class _Check:
    def __init__(self, method: str, kind: str, model_type_id: str, concepts: Sequence[ConceptInfo]) -> None:
        self._method = method
        self._kind = kind
        self._type = MODEL_TYPES.get(model_type_id)
        self._names = {one.id: one.name for one in concepts}

    def check_answer(self, answer: MultiOutputResponse, where: str, inputs: int) -> Iterator[Finding]:
        if self._kind == "predict" and len(answer.outputs) != inputs:
            yield Finding(
                where=where.rstrip(": "),
                problem=f"{len(answer.outputs)} outputs for {inputs} inputs; there has to be one for each, in order",
                fix="append one Output in every turn of the loop over request.inputs",
            )
        if self._kind != "predict" and not answer.outputs:
            yield Finding(where=where.rstrip(": "), problem="an answer without outputs", is_error=False)
        for index, output in enumerate(answer.outputs):
            if output.status.code in _FINE:
                yield from self._check_output(output, f"{where}outputs[{index}].data")

    def check_whole(self, answers: Sequence[MultiOutputResponse]) -> Iterator[Finding]:
        """What holds of all answers of a method together: a stream may begin with an empty piece."""
        if self._type is None:
            return
        fine = [output for answer in answers for output in answer.outputs if output.status.code in _FINE]
        for path in self._type.output_fields:
            name = path.partition("[")[0].partition(".")[0]
            promised = " and ".join(self._type.output_fields)
            if fine and not any(has_field(output.data, name) for output in fine):
                yield Finding(
                    where=f"{self._method}: outputs[].data.{name}",
                    problem=f"no output has {name}; {self._type.id} models answer {promised}",
                    fix=f"fill output.data.{name}",
                    # Nothing may be in an image, and a label may be below the threshold.
                    is_error=name not in ("regions", "concepts"),
                )
        yield from _check_dimensions(self._method, fine)

    def _check_output(self, output: Output, where: str) -> Iterator[Finding]:
        data = output.data
        if data.HasField("text") and not (data.text.raw or data.text.url) and self._kind == "predict":
            yield Finding(where=f"{where}.text", problem="the text is empty", is_error=False)
        yield from self._check_concepts(data.concepts, f"{where}.concepts")
        for index, region in enumerate(data.regions):
            yield from self._check_region(region, f"{where}.regions[{index}]")
        for index, frame in enumerate(data.frames):
            yield from self._check_concepts(frame.data.concepts, f"{where}.frames[{index}].data.concepts")
            for number, region in enumerate(frame.data.regions):
                yield from self._check_region(region, f"{where}.frames[{index}].data.regions[{number}]")
        for index, embedding in enumerate(data.embeddings):
            yield from _check_vector(embedding.vector, f"{where}.embeddings[{index}].vector")
        for kind in ("image", "audio", "video"):
            if data.HasField(kind) and (problem := explain_media(kind, getattr(data, kind).base64)):
                yield Finding(
                    where=f"{where}.{kind}",
                    problem=problem,
                    fix=f"write encoded {kind} bytes to base64",
                    # What is there beside the promise does no harm to those who do not read it.
                    is_error=self._type is None or kind in self._type.output_fields,
                )

    def _check_region(self, region: Region, where: str) -> Iterator[Finding]:
        yield from self._check_concepts(region.data.concepts, f"{where}.data.concepts")
        if not region.region_info.HasField("bounding_box"):
            return
        box = region.region_info.bounding_box
        sides = {name: getattr(box, name) for name in SIDES}
        outside = {name: value for name, value in sides.items() if not _is_share(value)}
        place = f"{where}.region_info.bounding_box"
        if outside:
            shown = ", ".join(f"{name} {value:g}" for name, value in outside.items())
            yield Finding(
                where=place,
                problem=f"{shown}; sides are shares of the image, from 0 to 1",
                fix="divide rows by the image's height and columns by its width",
            )
        elif box.top_row >= box.bottom_row or box.left_col >= box.right_col:
            yield Finding(
                where=place,
                problem=", ".join(f"{name} {value:g}" for name, value in sides.items())
                + ": top has to be above bottom, left before right",
                fix="look whether rows and columns are exchanged",
            )

    def _check_concepts(self, concepts: Sequence[Concept], where: str) -> Iterator[Finding]:
        for index, concept in enumerate(concepts):
            place = f"{where}[{index}]"
            if not concept.id and not concept.name:
                yield Finding(where=place, problem="it has neither id nor name", fix="set both as in config.yaml")
            elif self._names:
                yield from self._check_known(concept, place)
            if not math.isfinite(concept.value) or not -BOX_TOLERANCE <= concept.value <= 1 + BOX_TOLERANCE:
                yield Finding(
                    where=f"{place}.value",
                    problem=f"{concept.value:g}; a value is a share from 0 to 1",
                    fix="apply softmax or sigmoid to the logits",
                )

    def _check_known(self, concept: Concept, place: str) -> Iterator[Finding]:
        if concept.id and concept.id not in self._names:
            close = difflib.get_close_matches(concept.id, self._names, n=1)
            by_name = [id_ for id_, name in self._names.items() if name == (concept.name or concept.id)]
            meant = (close or by_name)[:1]
            yield Finding(
                where=f"{place}.id",
                problem=f"{concept.id!r} is none of the {len(self._names)} concepts of the version",
                fix=f"did you mean {meant[0]!r}?" if meant else f"allowed are {_shorten(self._names)}",
            )
        elif not concept.id and concept.name not in self._names.values():
            yield Finding(
                where=f"{place}.name",
                problem=f"{concept.name!r} is none of the {len(self._names)} concepts of the version",
                fix=f"allowed are {_shorten({name: name for name in self._names.values()})}",
            )


def has_field(data: Data, name: str) -> bool:
    """Is something there? A video answers per frame what an image answers directly."""
    if name in ("text", "image", "audio", "video", "metadata"):
        return bool(data.HasField(name))
    return bool(getattr(data, name)) or any(getattr(frame.data, name, ()) for frame in data.frames)


def _check_vector(vector: Sequence[float], where: str) -> Iterator[Finding]:
    if not vector:
        yield Finding(where=where, problem="the vector is empty")
    elif not all(math.isfinite(one) for one in vector):
        yield Finding(where=where, problem="it has numbers that are not finite (nan or inf)")
    elif not any(vector):
        yield Finding(where=where, problem="all of its numbers are 0", is_error=False)


def _check_dimensions(method: str, outputs: Sequence[Output]) -> Iterator[Finding]:
    sizes = {len(embedding.vector) for output in outputs for embedding in output.data.embeddings}
    if len(sizes) > 1:
        yield Finding(
            where=f"{method}: outputs[].data.embeddings",
            problem=f"vectors of {' and '.join(map(str, sorted(sizes)))} numbers; all need the same dimension",
        )


def _is_share(value: float) -> bool:
    return math.isfinite(value) and -BOX_TOLERANCE <= value <= 1 + BOX_TOLERANCE


def _shorten(names: Mapping[str, str]) -> str:
    shown = [repr(one) for one in list(names)[:5]]
    return ", ".join(shown) + (" ..." if len(names) > 5 else "")
