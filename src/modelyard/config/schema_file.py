"""The JSON schema as a file: the one that is installed with this package, and the copy that goes with a folder."""

from __future__ import annotations

import re
from pathlib import Path

INSTALLED = Path(__file__).with_name("config.schema.json")
"""Written by `script/update-reference` from `json_schema.py`."""
SCHEMA_PATH = ".modelyard/config.schema.json"
"""Where a folder has its copy: beside its config.yaml, so that editors find it on every machine. It is never sent."""
SCHEMA_LINE = f"# yaml-language-server: $schema={SCHEMA_PATH}"
"""The line of config.yaml by which editors find it."""
_ANY_SCHEMA_LINE = re.compile(r"^#\s*yaml-language-server\s*:\s*\$schema\s*=", re.MULTILINE)


def read_schema() -> bytes:
    """Return the installed file."""
    return INSTALLED.read_bytes()


def add_schema_line(config: str) -> str:
    """Return a config.yaml that names the schema in its first line; one that names any is returned as it is."""
    if _ANY_SCHEMA_LINE.search(config):
        return config
    mark = "\ufeff" if config.startswith("\ufeff") else ""
    body = config.removeprefix(mark)
    end = "\r\n" if "\r\n" in body else "\n"
    return f"{mark}{SCHEMA_LINE}{end}{body}"
