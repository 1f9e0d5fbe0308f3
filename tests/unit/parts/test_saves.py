"""After a failed start: what was saved since counts, what the failed process wrote does not."""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.parts.saves import FailedStart


def write(folder: Path, name: str, moment_ns: int) -> str:
    (folder / name).write_text("x")
    os.utime(folder / name, ns=(moment_ns, moment_ns))
    return name


def test_code_counts_from_the_beginning_and_other_files_from_the_end(tmp_path: Path) -> None:
    attempt = FailedStart(folder=tmp_path)
    attempt.fail()
    early, during, after = attempt.began_ns - 1, attempt.began_ns + 1, attempt.failed_ns + 10**9
    attempt.began_ns += 10**12  # what is written below was changed, by its ctime, after the start itself
    attempt.failed_ns += 10**12
    names = [
        write(tmp_path, "old.py", early),
        write(tmp_path, "during.py", during + 10**12),
        write(tmp_path, "log.txt", early + 10**12),
        write(tmp_path, "labels.txt", after + 10**12),
    ]

    assert attempt.list_saved_since(names) == {"during.py", "labels.txt"}


def test_of_files_that_are_gone_only_code_and_settings_count(tmp_path: Path) -> None:
    attempt = FailedStart(folder=tmp_path)
    attempt.fail()

    gone = ["1/helper.py", "requirements.txt", "config.yaml", "tmp123", "notes.txt"]
    assert attempt.list_saved_since(gone) == {"1/helper.py", "requirements.txt", "config.yaml"}
