"""Option lines of a requirements.txt: which ones the builder takes, and how it tells them to uv."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

_SHORT = {"-i": "--index-url", "-f": "--find-links", "-r": "--requirement", "-c": "--constraint", "-e": "--editable"}
_LONG = {"--pypi-url": "--index-url"}
_PLACES = frozenset({"--index-url", "--extra-index-url", "--find-links"})
_HOSTS = frozenset({"--trusted-host"})
_CHOICES = frozenset({"--only-binary", "--no-binary"})
_FLAGS = frozenset({"--pre", "--prefer-binary", "--require-hashes"})
_REFUSED = {
    "--requirement": "another file is not read; write its lines here",
    "--constraint": "another file is not read; write its versions here",
    "--editable": "an editable install is not possible; put the code into the model folder, next to model.py",
}
ALLOWED = tuple(sorted(_PLACES | _HOSTS | _CHOICES | _FLAGS))


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option line."""

    name: str
    """The long form, `--extra-index-url`."""
    value: str = ""


def read_option(line: str) -> Option | str:
    """Read a line that starts with `-`; a text says why it is refused."""
    name, value = _split(line)
    if name in _REFUSED:
        return f"{name}: {_REFUSED[name]}"
    if name in _FLAGS:
        return f"{name} takes no value" if value else Option(name=name)
    if name not in _PLACES | _HOSTS | _CHOICES:
        return f"the option {name} is not supported; use {', '.join(ALLOWED)}"
    if not value or len(value.split()) > 1:
        return f"{name} needs one value"
    if name in _PLACES and not value.lower().startswith(("https://", "http://")):
        return f"{name} {value}: a local path is not allowed; use an https URL"
    return Option(name=name, value=value)


def explain_option(option: Option) -> str | None:
    """A warning for an option that changes where packages come from."""
    if option.name in _PLACES | _HOSTS:
        return f"{option.name} lets packages come from another place than this server's index"
    return None


def list_uv_arguments(options: tuple[Option, ...]) -> list[str]:
    """The options that are not places, as arguments of `uv pip`."""
    arguments = []
    for option in options:
        if option.name == "--pre":
            arguments += ["--prerelease", "allow"]
        elif option.name == "--trusted-host":
            arguments += ["--allow-insecure-host", option.value]
        elif option.name in _CHOICES:
            arguments += [option.name, option.value]
    return arguments


def _split(line: str) -> tuple[str, str]:
    head = line.split(None, 1)[0]
    if not head.startswith("--"):
        name, value = line[:2], line[2:]
    elif "=" in head:
        name, _, value = line.partition("=")
    else:
        name, value = head, line[len(head) :]
    return _SHORT.get(name, _LONG.get(name, name)), _unquote(value.strip())


def _unquote(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value
