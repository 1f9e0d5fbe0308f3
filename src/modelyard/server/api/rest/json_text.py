"""Reads JSON strictly: one parser, no NaN, no duplicate keys, no deep nesting, UTF-8."""

from __future__ import annotations

import json
from json import JSONDecodeError
from typing import Any, NoReturn

from modelyard.errors import InvalidRequest

MAX_DEPTH = 64


def read_object(body: bytes, *, what: str = "the request body") -> dict[str, Any]:
    """The JSON object in `body`; raises `InvalidRequest` that says what is wrong and where."""
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidRequest(f"{what} is not UTF-8") from None
    except JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InvalidRequest(f"{what} is not valid JSON: {error.msg} at {where}") from None
    except RecursionError:
        raise InvalidRequest(f"{what} is nested deeper than {MAX_DEPTH} levels") from None
    except InvalidRequest as error:
        raise InvalidRequest(f"{what} {error.message}") from None
    except ValueError as error:  # a number of thousands of digits
        raise InvalidRequest(f"{what} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"{what} is not a JSON object")
    if _may_be_deep(body) and _is_deeper(value, MAX_DEPTH):
        raise InvalidRequest(f"{what} is nested deeper than {MAX_DEPTH} levels")
    return value


def _may_be_deep(body: bytes) -> bool:
    """Has it enough brackets at all? To find the next one takes a fiftieth of counting them in a MiB of base64."""
    left = MAX_DEPTH
    for bracket in (b"{", b"["):
        place = body.find(bracket)
        while place >= 0:
            left -= 1
            if left < 0:
                return True
            place = body.find(bracket, place + 1)
    return False


def _is_deeper(value: object, levels: int) -> bool:
    """Level by level, without recursion."""
    layer = [value]
    while layer:
        if levels == 0:
            return True
        levels -= 1
        below: list[object] = []
        for one in layer:
            members = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
            below.extend(member for member in members if isinstance(member, (dict, list)))
        layer = below
    return False


def _refuse_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"has the key {twice[:80]!r} twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"has {name}, which is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)
