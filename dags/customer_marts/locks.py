"""One writer a company, held by our own lock with a fencing token, not by a scheduler's goodwill.

The kernel's file lock serialises the stages; it vanishes with its process, so a killed run leaves
nothing to clean. The token counts candidates begun: a candidate overtaken by a later one finds a
higher token when it comes to publish, and is refused.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from customer_marts.errors import Busy
from customer_marts.settings import StatePaths


class WriterLock:
    """The held lock. ``token`` is the number of the latest candidate begun."""

    def __init__(self, stream: TextIOWrapper) -> None:
        self._stream = stream

    @property
    def token(self) -> int:
        self._stream.seek(0)
        return int(self._stream.read().strip() or 0)

    def next_token(self) -> int:
        token = self.token + 1
        self._stream.seek(0)
        self._stream.truncate()
        self._stream.write(str(token))
        self._stream.flush()
        return token


@contextmanager
def writer_lock(paths: StatePaths, wait_seconds: float = 5.0) -> Iterator[WriterLock]:
    """Hold the company's writer lock; raises :class:`Busy` when another keeps it that long."""
    paths.root.mkdir(parents=True, exist_ok=True)
    with paths.lock.open("a+") as stream:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy(
                        "another run is writing this company's marts",
                        where=str(paths.lock),
                        kept="everything; this run changed nothing",
                        todo="wait for the other run to end, then run again",
                    ) from None
                time.sleep(0.1)
        yield WriterLock(stream)
