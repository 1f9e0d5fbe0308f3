"""For all tests: how long property tests look, and how many threads the networks of example models have.

Property tests look a little in every run, and as long as asked for by `script/fuzz`. The networks are tiny, and run on
all cores at once they would only fight with the tests beside them.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
SUPPRESSED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile("tests", max_examples=60, deadline=None, suppress_health_check=SUPPRESSED)
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("MODELYARD_FUZZ_EXAMPLES", "5000")),
    deadline=None,
    print_blob=True,
    suppress_health_check=SUPPRESSED,
)
settings.load_profile("fuzz" if "MODELYARD_FUZZ_EXAMPLES" in os.environ else "tests")
