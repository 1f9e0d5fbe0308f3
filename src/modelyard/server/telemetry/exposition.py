"""Metrics as Prometheus reads them: the text format 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.server.telemetry.series import Family

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
_ESCAPED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_ESCAPED_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})


def render(families: Iterable[Family]) -> bytes:
    """The whole page."""
    lines: list[str] = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.meaning.translate(_ESCAPED_HELP)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for ending, labels, value in family.samples():
            named = ",".join(f'{name}="{text.translate(_ESCAPED)}"' for name, text in labels)
            lines.append(
                f"{family.name}{ending}{{{named}}} {value:.15g}" if named else f"{family.name}{ending} {value:.15g}"
            )
    return ("\n".join(lines) + "\n").encode()
