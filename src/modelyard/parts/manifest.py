"""The manifest: the small file that names a version's three parts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields

from modelyard.errors import InternalError
from modelyard.parts.files import write_canonical


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a version is made of. Digests are sha256 in hexadecimal."""

    code: str
    weights: str
    """Empty where the version has no weights."""
    environment: str
    model_type_id: str
    python_version: str
    """In full, `3.11.7`."""

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """The one way to write this manifest."""
        return write_canonical(asdict(self))

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read what `to_json` wrote. Raises InternalError for anything else."""
        try:
            values = json.loads(content)
            names = [field.name for field in fields(cls)]
            if sorted(values) != sorted(names) or not all(isinstance(values[name], str) for name in names):
                raise TypeError(f"it must have exactly {', '.join(names)}, each a text")
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise InternalError(f"a manifest cannot be read: {error}") from error
