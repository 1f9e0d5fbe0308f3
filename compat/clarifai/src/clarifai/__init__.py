"""The documented `clarifai.*` modules on Modelyard; what is not here comes from a published SDK, if there is one."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
