"""The benchmarks are scripts beside the package; their pure parts are tested as any other code."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[3] / "benchmarks"))
