"""What the class in `1/model.py` inherits from."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
