"""From one input of a request to the arguments of a call, and from what the method answered to an output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from modelyard.errors import InvalidModelOutput, InvalidRequest
from modelyard.sdk.typed.codec import WrongValue
from modelyard.sdk.typed.documents import read_struct
from modelyard.sdk.typed.method import Argument, Method, plain_default
from modelyard.wire.messages import Data, PostModelOutputsRequest
from modelyard.wire.signatures import METHOD_NAME, RESULT


def read_method_name(request: PostModelOutputsRequest) -> str:
    """The method that a request asks for; "" where it names none."""
    if not request.inputs or not request.inputs[0].data.HasField("metadata"):
        return ""
    fields = request.inputs[0].data.metadata.fields
    return fields[METHOD_NAME].string_value if METHOD_NAME in fields else ""


def read_params(request: PostModelOutputsRequest) -> dict[str, object]:
    """What clients without signatures send beside the inputs."""
    return read_struct(request.model.model_version.output_info.params)


def is_plain(data: Data) -> bool:
    """Does it come from a client that knows nothing of arguments?"""
    return not data.parts


def read_arguments(
    method: Method, data: Data, params: Mapping[str, object], only: Iterable[Argument] | None = None
) -> dict[str, object]:
    """The arguments of one call; those with a default may be missing.

    Args:
        method: Whose arguments.
        data: One input's.
        params: Looked in for what the input does not have.
        only: Some of the arguments: of a stream, later messages bring no others.

    Raises:
        InvalidRequest: One is missing, not known, or of another type. The message says which, and what is allowed.
    """
    parts = {part.id: part.data for part in data.parts if part.id or part.HasField("data")}
    _check_names(method, parts)
    wanted = method.arguments if only is None else tuple(only)
    present = {field.name for field, _ in data.ListFields()} - {"metadata", "parts"}
    found: dict[str, object] = {}
    argument = None
    try:
        for argument in wanted:
            _read_one(argument, data, parts, present, params, found)
    except WrongValue as error:
        name = argument.name if argument else ""
        raise InvalidRequest(f"{method.name}: argument {name} {error}", hint=f"it is {_show(method)}") from None
    missing = [one for one in wanted if one.name not in found and one.is_required and not one.is_stream]
    if missing:
        names = ", ".join(f"{one.name} ({one.type_name})" for one in missing)
        raise InvalidRequest(f"{method.name}: argument {names} is missing", hint=f"it is {_show(method)}")
    return found


def write_result(method: Method, data: Data, value: object, *, plainly: bool) -> None:
    """Put what a method answered into an output.

    Args:
        method: Which.
        data: Of the output, empty.
        value: What it answered.
        plainly: The caller knows nothing of arguments: the value lies where such clients look for it, too.

    Raises:
        InvalidModelOutput: It is not what the annotation says.
    """
    if value is None and method.result.is_optional:
        return
    part = data.parts.add()
    part.id = RESULT
    try:
        method.result.codec.write(part.data, value)
    except WrongValue as error:
        raise InvalidModelOutput(
            f"{method.name}: its result {error}", hint=f"return what the annotation says, or change it: {method}"
        ) from None
    if plainly:
        _inline(data, part.data)


def _check_names(method: Method, parts: Mapping[str, Data]) -> None:
    known = {one.name for one in method.arguments}
    if unknown := sorted(name for name in parts if name and name not in known):
        raise InvalidRequest(
            f"{method.name} has no argument {', '.join(map(repr, unknown))[:200]}", hint=f"it is {_show(method)}"
        )


def _read_one(
    argument: Argument,
    data: Data,
    parts: Mapping[str, Data],
    present: set[str],
    params: Mapping[str, object],
    found: dict[str, object],
) -> None:
    name, codec = argument.name, argument.codec
    if name in parts:
        found[name] = codec.read(parts[name])
    elif any(field in present for field in codec.plain_fields):
        present.difference_update(codec.plain_fields)
        found[name] = codec.read(data)
    elif name in params and not argument.is_stream:
        found[name] = codec.check(params[name])


def _inline(data: Data, value: Data) -> None:
    """A text lies in `text`, all else in its own field. What has parts itself is only to be had as a part."""
    if value.parts:
        return
    kept = Data()
    kept.CopyFrom(value)
    data.MergeFrom(kept)
    if kept.string_value:
        data.text.raw = kept.string_value


def _show(method: Method) -> str:
    """With defaults: what a caller may leave out."""
    shown = []
    for one in method.arguments:
        default = "" if one.is_required else f" = {plain_default(one.default)!r}"
        shown.append(f"{one.name}: {one.type_name}{default}")
    return f"{method.name}({', '.join(shown)})"
