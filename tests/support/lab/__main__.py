"""What the tests of the examples compare with, made by transformers itself: checkpoints, media and expected answers.

    PYTHON_OF_THE_EXAMPLES tests/support/lab DIR

Runs in the environment of the examples, and writes DIR/checkpoints, DIR/media and DIR/expected.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from checkpoints import make_checkpoints
from expected import expect
from media import make_media


def main(root: Path) -> None:
    make_checkpoints(root / "checkpoints")
    make_media(root / "media")
    (root / "expected.json").write_text(json.dumps(expect(root / "checkpoints", root / "media"), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
