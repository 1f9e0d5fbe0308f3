"""Small things that model folders import."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
