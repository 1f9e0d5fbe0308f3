"""requirements.txt, line by line: what an author may write, and what it means to the builder."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from modelyard.errors import InvalidFolder
from modelyard.parts.requirement_options import Option, explain_option, read_option

MAX_BYTES = 1024 * 1024
_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[A-Za-z0-9._,\s-]*\])?")
_VERSION = r"(?:===|==|~=|!=|<=|>=|<|>)\s*[A-Za-z0-9._*+!-]+"
_VERSIONS = re.compile(rf"(?:{_VERSION}(?:\s*,\s*{_VERSION})*)?,?")
_HASHES = re.compile(r"(?:\s+--hash[= ][a-z0-9]+:[0-9a-fA-F]+)+$")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9.]*(?:\+[A-Za-z]+)?):/*\S+")
_LOCAL = re.compile(r"(\.{0,2}/|~|file:|[A-Za-z]:\\)|.*\.(whl|zip|tar\.gz|tgz)(\[[^]]*\])?$", re.IGNORECASE)
_URL_SCHEMES = frozenset({"http", "https"})
_VCS_SCHEMES = frozenset({"git+https", "git+http", "git+ssh"})


class LineKind(Enum):
    """What a line asks for."""

    PACKAGE = "package"
    URL = "url"
    VCS = "vcs"


@dataclass(frozen=True, kw_only=True)
class RequirementLine:
    """One package that the author asks for."""

    number: int
    """Line in requirements.txt, from 1; the first of a continued line."""
    text: str
    """Without comments, continued lines joined."""
    name: str
    """Normalised, `scikit-learn`; empty for a bare URL."""
    kind: LineKind


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """A requirements.txt that can be used."""

    lines: tuple[RequirementLine, ...]
    options: tuple[Option, ...]
    warnings: tuple[str, ...]

    @property
    def text(self) -> str:
        """The packages alone, one a line: what the resolver reads."""
        return "".join(f"{line.text}\n" for line in self.lines)


class _LineProblem(Exception):
    """Why a line is refused."""


def parse_requirements(text: str, *, is_multi_user: bool = False, source: str = "requirements.txt") -> Requirements:
    """Read and check a requirements.txt.

    Args:
        text: The whole file.
        is_multi_user: Refuse what lets the author choose where packages come from (options, URLs, repositories);
            otherwise these are warned about.
        source: What to call it in messages.

    Raises:
        InvalidFolder: Every problem, one a line: `requirements.txt line 3: ...`.
    """
    lines, options, warnings, problems = [], [], [], []
    for number, line in _list_lines(text):
        try:
            read = _read_line(number, line)
            warning = _explain(read)
            if warning and is_multi_user:
                raise _LineProblem(f"{warning}; a server with several users does not allow it")
        except _LineProblem as problem:
            problems.append(f"{source} line {number}: {problem}")
            continue
        if isinstance(read, Option):
            options.append(read)
        else:
            lines.append(read)
        if warning:
            warnings.append(f"{source} line {number}: {warning}")
    if problems:
        raise InvalidFolder("\n".join(problems))
    return Requirements(lines=tuple(lines), options=tuple(options), warnings=tuple(warnings))


def normalise_name(name: str) -> str:
    """One spelling for a package: `Scikit_Learn` and `scikit-learn` are the same."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _list_lines(text: str) -> Iterator[tuple[int, str]]:
    """Logical lines that say something, with the number of their first physical line."""
    pending, start = "", 0
    for number, physical in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        start = start if pending else number
        stripped = physical.rstrip()
        if stripped.endswith("\\") and not stripped.lstrip().startswith("#"):
            pending += stripped[:-1] + " "
            continue
        joined, pending = _COMMENT.sub("", pending + physical).strip(), ""
        if joined:
            yield start, joined
    if pending and (joined := _COMMENT.sub("", pending).strip()):
        yield start, joined


def _read_line(number: int, line: str) -> RequirementLine | Option:
    if any(ord(one) < 32 and one != "\t" for one in line):
        raise _LineProblem("control characters are not allowed")
    if variable := _VARIABLE.search(line):
        raise _LineProblem(f"{variable[0]} is not replaced by anything here; write the value itself")
    if line.startswith("-"):
        option = read_option(line)
        if isinstance(option, str):
            raise _LineProblem(option)
        return option
    return _read_requirement(number, line)


def _read_requirement(number: int, line: str) -> RequirementLine:
    bare = _HASHES.sub("", line)
    if re.search(r"\s--?[A-Za-z]", bare):
        raise _LineProblem(f"{line!r}: of the options of a package only --hash is supported")
    body = re.split(r"\s;|;\s", bare, maxsplit=1)[0].strip() if "://" in bare else bare.split(";", 1)[0].strip()
    name = _NAME.match(body)
    rest = body[name.end() :].strip() if name else body
    if name and rest.startswith("@"):
        kind = _read_place(rest[1:].strip(), line)
        return RequirementLine(number=number, text=line, name=normalise_name(name[1]), kind=kind)
    if _URL.match(body) or _LOCAL.match(body):
        return RequirementLine(number=number, text=line, name=_name_in_url(body), kind=_read_place(body, line))
    versions = rest[1:-1] if rest.startswith("(") and rest.endswith(")") else rest
    if name is None or not _VERSIONS.fullmatch(versions.strip()):
        raise _LineProblem(f"{line!r} is not a requirement; write a package name and a version, such as numpy==1.26.4")
    return RequirementLine(number=number, text=line, name=normalise_name(name[1]), kind=LineKind.PACKAGE)


def _read_place(place: str, line: str) -> LineKind:
    url = _URL.match(place)
    scheme = url["scheme"].lower() if url else ""
    if scheme in _VCS_SCHEMES:
        return LineKind.VCS
    if scheme in _URL_SCHEMES:
        return LineKind.URL
    if not scheme or scheme == "file" or scheme.endswith("+file"):
        raise _LineProblem(f"{line!r} is a local path; packages come from an index, or from an https URL")
    raise _LineProblem(f"{line!r}: {scheme} is not supported; use https or git+https")


def _name_in_url(url: str) -> str:
    """The package that a bare URL is said to hold: `#egg=NAME`, or the start of a wheel's name."""
    if egg := re.search(r"#(?:.*&)?egg=([A-Za-z0-9._-]+)", url):
        return normalise_name(egg[1])
    file = re.split(r"[#?]", url, maxsplit=1)[0].rpartition("/")[2]
    return normalise_name(file.split("-", 1)[0]) if file.endswith(".whl") else ""


def _explain(read: RequirementLine | Option) -> str | None:
    if isinstance(read, Option):
        return explain_option(read)
    if read.kind is LineKind.URL:
        return f"{read.name or 'a package'} comes from a URL, not from a package index"
    if read.kind is LineKind.VCS:
        return f"{read.name or 'a package'} comes from a repository: it is built here, and its hash cannot be checked"
    return None
