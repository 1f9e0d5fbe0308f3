"""An environment that is installed on a guess: which packages it is to have, the cache knows at once, and whether an
index has newer ones only its server. The guess is nearly always right, and then all is there when the answer comes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from modelyard.errors import Cancelled, ModelyardError

POLL_S = 0.1

log = logging.getLogger(__name__)


class Guess:
    """Begins at once, in a thread of its own.

    Args:
        work: Makes the guess, sets `digest`, installs, sets `has_installed`. What it raises is nobody's trouble.
    """

    def __init__(self, work: Callable[[Guess], None]) -> None:
        self._work = work
        self.digest: str | None = None
        """The environment that it is about, once that is known."""
        self.lines: list[str] = []
        """What is to be told of its installation, if it was right."""
        self.has_installed = False
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="guess", daemon=True)
        self._thread.start()

    def drop(self) -> None:
        """It is not wanted. What it has installed completely is left to the sweep."""
        self.stop.set()
        self._thread.join()

    def finish(self, stop: threading.Event | None) -> None:
        """Wait until it has installed what it can. Raises `Cancelled` when `stop` is set, and then it is over."""
        while self._thread.is_alive():
            self._thread.join(POLL_S)
            if stop is not None and stop.is_set():
                self.drop()
                raise Cancelled("the build was stopped")

    def _run(self) -> None:
        try:
            self._work(self)
        except (ModelyardError, OSError) as error:
            log.debug("guess.over reason=%r", str(error))
        except Exception:
            log.exception("guess.crashed")
