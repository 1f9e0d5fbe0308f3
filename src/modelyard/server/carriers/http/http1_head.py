"""What the head of an HTTP/1.1 request says. llhttp reads it, too: here are the rules that it leaves to others.

In one that llhttp takes, a line ends with CR LF, has a colon right behind its name, and does not go on in the next.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from modelyard.server.carriers.http.exchange import Headers, Scope
from modelyard.server.carriers.http.heads import read_length, split_target

FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
SCHEMES: Final = (b"http", b"https")


class Refusal(Exception):
    """A request that is not taken: the status that says so, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class RequestHead(NamedTuple):
    """A head that breaks no rule."""

    scope: Scope
    """What ASGI's scope has of it, but for the headers."""
    headers: Headers
    length: int | None
    """How long the body is; None where only its last chunk will tell."""
    framing: Headers
    """The headers that say so."""
    is_head: bool
    """Is the method HEAD?"""
    is_old: bool
    """Is it HTTP/1.0?"""
    expects_continue: bool
    """Does the client wait for a word before it sends the body?"""
    memo: dict[str, Any]
    """See `Shortcuts`."""


def read_head(text: bytes) -> RequestHead:
    """Read it, up to its empty line. Raises `Refusal`."""
    line, *lines = text.split(b"\r\n")
    try:
        method, target, version = line.split(b" ")
        headers = [(name.lower(), value.strip()) for name, value in [one.split(b":", 1) for one in lines]]
    except ValueError:
        raise Refusal(400, "a line of the request's head has not the parts that it needs") from None
    is_old = version == b"HTTP/1.0"
    if not is_old and version != b"HTTP/1.1":
        raise Refusal(505, "HTTP/1.1 is spoken here, and HTTP/2")
    if method == b"CONNECT":
        raise Refusal(501, "CONNECT: this is no proxy")
    names = [name for name, _ in headers]
    hosts = names.count(b"host")
    if hosts != 1 and (hosts or not is_old):
        raise Refusal(400, f"a request has one Host header, this one has {hosts}")
    if target[:1] != b"/":
        target, headers = _find_path(method, target, headers)
    framing = [] if FRAMING.isdisjoint(names) else [one for one in headers if one[0] in FRAMING]
    scope = _split_target(target)
    scope["method"] = method.decode("latin-1")
    if is_old:
        scope["http_version"] = "1.0"
    return RequestHead(
        scope=scope,
        headers=headers,
        length=_find_length(framing, is_old=is_old) if framing else 0,
        framing=framing,
        is_head=method == b"HEAD",
        is_old=is_old,
        expects_continue=b"expect" in names and not is_old and dict(headers)[b"expect"].lower() == b"100-continue",
        memo={},
    )


def _find_path(method: bytes, target: bytes, headers: Headers) -> tuple[bytes, Headers]:
    """The path in `http://host/path`, whose host then takes the place of the header's; and `*`."""
    if target == b"*" and method == b"OPTIONS":
        return target, headers
    scheme, separator, rest = target.partition(b"://")
    host = rest.replace(b"?", b"/", 1).partition(b"/")[0]
    if not separator or scheme.lower() not in SCHEMES or not host:
        raise Refusal(400, "the target of a request begins with '/'")
    path = rest[len(host) :]
    headers = [(name, host if name == b"host" else value) for name, value in headers]
    return path if path.startswith(b"/") else b"/" + path, headers


def _find_length(framing: Headers, *, is_old: bool) -> int | None:
    name, value = framing[0]
    if len(framing) > 1:
        raise Refusal(400, "the request says twice how long its body is")
    if name == b"transfer-encoding":
        if is_old or value.lower() != b"chunked":
            raise Refusal(501, "the only transfer encoding is 'chunked', of HTTP/1.1")
        return None
    length = read_length(value)
    if length is None:
        raise Refusal(400, "a content-length is a number of bytes")
    return length


def _split_target(target: bytes) -> Scope:
    if b"#" in target or not target.isascii():
        raise Refusal(400, "the target of a request is a path and a query, in ASCII")
    return split_target(target)
