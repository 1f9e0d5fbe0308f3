"""How long property tests look: a little in every run, as long as asked for by `script/fuzz`."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

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
