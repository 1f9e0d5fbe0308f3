"""The text of a token: `myd_<public id>_<secret><check>`, all base62.

The public id finds the row, the 256 random bits of the secret prove it, and the check (CRC-32 of what stands before
it) tells a mistyped token, and a scanner of leaked secrets, without asking the database.
"""

from __future__ import annotations

import hmac
import re
import zlib
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256

PREFIX = "myd"
ID_LENGTH = 16
SECRET_BYTES = 32
SECRET_LENGTH = 43
CHECK_LENGTH = 6
REMEMBERED = 1024
"""The same few tokens come with every request: what was worked out for them is kept."""
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(rf"{PREFIX}_([0-9A-Za-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{SECRET_LENGTH + CHECK_LENGTH}}}")


def make_token_text(random_bytes: Callable[[int], bytes]) -> tuple[str, str]:
    """A new token: its public id and its text. `random_bytes` is `secrets.token_bytes` in earnest."""
    token_id = _encode(int.from_bytes(random_bytes(12), "big"), ID_LENGTH)
    secret = _encode(int.from_bytes(random_bytes(SECRET_BYTES), "big"), SECRET_LENGTH)
    body = f"{PREFIX}_{token_id}_{secret}"
    return token_id, body + _check_of(body)


@lru_cache(maxsize=REMEMBERED)
def read_token_id(text: str) -> str | None:
    """The public id of a token's text; None where it cannot be one of ours."""
    match = _SHAPE.fullmatch(text)
    if match is None or not hmac.compare_digest(_check_of(text[:-CHECK_LENGTH]), text[-CHECK_LENGTH:]):
        return None
    return match[1]


@lru_cache(maxsize=REMEMBERED)
def digest_of(text: str, pepper: bytes) -> str:
    """What is stored of a token: HMAC-SHA-256 with the server's pepper, hex."""
    return hmac.new(pepper, text.encode(), sha256).hexdigest()


def _check_of(body: str) -> str:
    return _encode(zlib.crc32(body.encode()), CHECK_LENGTH)


def _encode(number: int, length: int) -> str:
    """The lowest `length` digits."""
    digits = []
    for _ in range(length):
        number, rest = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[rest])
    return "".join(reversed(digits))
