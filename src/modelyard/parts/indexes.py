"""Where packages come from: the operator's settings, uv's own or pip's, as the environment that uv runs in."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.parts.requirement_options import Option

_PIP_SECTIONS = ("global", "install")


@dataclass(frozen=True, kw_only=True)
class Indexes:
    """Package indexes and folders, in the words of uv."""

    default: str = ""
    """The main index; empty: the public one."""
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    certificates: str = ""
    """A file with the authorities to trust; empty: the system's."""

    def with_options(self, options: tuple[Option, ...]) -> Indexes:
        """The author's option lines before the operator's settings."""

        def values(name: str) -> tuple[str, ...]:
            return tuple(option.value for option in options if option.name == name)

        return Indexes(
            default=(values("--index-url") or (self.default,))[-1],
            extra=(*values("--extra-index-url"), *self.extra),
            find_links=(*values("--find-links"), *self.find_links),
            certificates=self.certificates,
        )

    def to_environment(self) -> dict[str, str]:
        """As variables and not as arguments: addresses may carry a password, and arguments show in every `ps`.

        All indexes are considered for every package, as pip does it and authors expect it.
        """
        environment = {
            "UV_DEFAULT_INDEX": self.default,
            "UV_INDEX": " ".join(self.extra),
            "UV_FIND_LINKS": ",".join(self.find_links),
            "SSL_CERT_FILE": self.certificates,
        }
        return {name: value for name, value in environment.items() if value} | {
            "UV_INDEX_STRATEGY": "unsafe-best-match"
        }


def read_indexes(environ: Mapping[str, str]) -> Indexes:
    """The operator's indexes: each from uv's own variables, else from pip's variables and pip.conf."""
    pip = _read_pip(environ)
    extra = f"{environ.get('UV_INDEX', '')} {environ.get('UV_EXTRA_INDEX_URL', '')}".split()
    find_links = [one for one in environ.get("UV_FIND_LINKS", "").replace(",", " ").split() if one]
    return Indexes(
        default=environ.get("UV_DEFAULT_INDEX") or environ.get("UV_INDEX_URL") or pip.get("index-url", ""),
        extra=tuple(extra or pip.get("extra-index-url", "").split()),
        find_links=tuple(find_links or pip.get("find-links", "").split()),
        certificates=environ.get("SSL_CERT_FILE") or pip.get("cert", ""),
    )


def _read_pip(environ: Mapping[str, str]) -> dict[str, str]:
    """pip's settings: later files win over earlier ones, variables over files."""
    found: dict[str, str] = {}
    for path in _list_pip_files(environ):
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in _PIP_SECTIONS:
            if parser.has_section(section):
                found |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name in ("index-url", "extra-index-url", "find-links", "cert"):
        if value := environ.get("PIP_" + name.upper().replace("-", "_")):
            found[name] = value
    return found


def _list_pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    only = environ.get("PIP_CONFIG_FILE")
    if only == "/dev/null":
        return
    yield Path("/etc/xdg/pip/pip.conf")
    yield Path("/etc/pip.conf")
    if home := environ.get("HOME"):
        yield Path(home, ".pip", "pip.conf")
        yield Path(environ.get("XDG_CONFIG_HOME") or Path(home, ".config"), "pip", "pip.conf")
    yield Path(sys.prefix, "pip.conf")
    if only:
        yield Path(only)
