from __future__ import annotations

import os

from modelyard.server.api.doorway.request_ids import make_request_id


def test_no_id_comes_twice() -> None:
    ids = [make_request_id(None) for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {len(one) for one in ids} == {32}


def test_a_process_that_was_forked_makes_other_ids() -> None:
    make_request_id(None)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, make_request_id(None).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 100).decode() != make_request_id(None)


def test_only_a_plain_prefix_is_taken() -> None:
    assert make_request_id(b"mine-1.2").startswith("mine-1.2-")
    assert len(make_request_id(b"two words")) == 32
