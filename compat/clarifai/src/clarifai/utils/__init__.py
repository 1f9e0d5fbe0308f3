"""Small things that model folders import."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)


def __getattr__(name: str) -> object:
    # Needed by this alone: importing the package costs nothing.
    from modelyard.sdk.published import load_published

    return load_published(__name__, name)
