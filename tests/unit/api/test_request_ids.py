from __future__ import annotations

import subprocess
import sys

from modelyard.server.api.doorway.request_ids import make_request_id

FORKS = """
import os
from modelyard.server.api.doorway.request_ids import make_request_id
make_request_id(None)
if child := os.fork():
    os.waitpid(child, 0)
print(make_request_id(None))
"""


def test_no_id_comes_twice() -> None:
    ids = [make_request_id(None) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {len(one) for one in ids} == {32}


def test_a_process_that_was_forked_makes_other_ids() -> None:
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, check=True, timeout=60)
    child, parent = done.stdout.split()
    assert child != parent


def test_only_a_plain_prefix_is_taken() -> None:
    assert make_request_id(b"mine-1.2").startswith("mine-1.2-")
    assert len(make_request_id(b"two words")) == 32
