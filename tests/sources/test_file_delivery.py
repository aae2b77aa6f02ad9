"""Which files are read: complete, new, readable, wherever they lie."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from customer_marts.errors import BatchFault, ConfigurationError, SourceUnavailable
from customer_marts.sources.extract import SeenFile, Watermark
from tests.sources.file_pull import NOW, FilePull, rows_of

HEADER = "id,day,customer,amount,note"


def content(*numbers: str) -> str:
    return "\n".join([HEADER, *(f"{number},2026-01-05,C1,1.00," for number in numbers), ""])


@pytest.fixture
def bank(tmp_path: Path) -> FilePull:
    return FilePull(tmp_path, {"path": "*.csv"})


def ids(bank: FilePull) -> list[str]:
    """The ids a pull brings, which the next pull then knows."""
    extract = bank.pull()
    if extract is None:
        return []
    bank.release(extract)
    return sorted(number for [number] in rows_of(extract, "id"))


def unavailable(bank: FilePull) -> SourceUnavailable:
    with pytest.raises(SourceUnavailable) as caught:
        bank.pull()
    assert caught.value.todo
    assert caught.value.kept
    return caught.value


# --- complete


@pytest.mark.parametrize("pattern", ["*.csv", "*"])
def test_a_file_is_read_once_its_marker_is_there(bank: FilePull, pattern: str) -> None:
    bank.table = {"path": pattern, "ready": {"done_suffix": ".done"}}
    bank.write("a.csv", content("A"))
    bank.write("b.csv", content("B"))
    assert ids(bank) == []
    bank.write("b.csv.done", "")
    assert ids(bank) == ["B"]
    (bank.inbox / "b.csv.done").unlink()  # the bank tidies up: what was read stays read
    bank.write("a.csv.done", "")
    assert ids(bank) == ["A"]
    assert ids(bank) == []


def test_a_file_is_read_once_it_has_settled(bank: FilePull) -> None:
    bank.table = {"path": "*.csv", "ready": {"settle_seconds": 60}}
    path = bank.write("a.csv", content("A"))
    at = NOW.timestamp()
    for age, expected in ((-5, []), (59, []), (60, ["A"])):
        os.utime(path, (at - age, at - age))
        assert ids(bank) == expected


def listed(bank: FilePull, *names: str) -> str:
    digest = {name: hashlib.sha256((bank.inbox / name).read_bytes()).hexdigest() for name in names}
    return "".join(f"{digest[name]}  {name}\n" for name in names)


def test_a_file_is_read_once_its_checksum_is_listed(bank: FilePull) -> None:
    bank.table = {"path": "**/*", "ready": {"checksums": "SHA256SUMS"}}
    bank.write("a.csv", content("A"))
    bank.write("sub/b.csv", content("B"))
    assert ids(bank) == []
    # a list that is still being written ends in half a line
    bank.write("SHA256SUMS", listed(bank, "a.csv") + "0123abc")
    assert ids(bank) == ["A"]
    bank.write("SHA256SUMS", listed(bank, "a.csv").upper().replace("A.CSV", "a.csv")
               + listed(bank, "sub/b.csv").replace("  ", " *./"))  # fmt: skip
    assert ids(bank) == ["B"]


def test_a_file_that_is_not_what_its_checksum_says_stops_the_pull(bank: FilePull) -> None:
    bank.table = {"path": "*.csv", "ready": {"checksums": "SHA256SUMS"}}
    bank.write("a.csv", content("A"))
    bank.write("SHA256SUMS", listed(bank, "a.csv"))
    bank.write("a.csv", content("X"))
    with pytest.raises(BatchFault, match="not what SHA256SUMS says") as caught:
        bank.pull()
    assert "a.csv" in caught.value.where
    bank.write("SHA256SUMS", "hello\n")
    with pytest.raises(BatchFault, match="line 1 of the list of checksums"):
        bank.pull()


def test_a_query_waits_for_every_table(bank: FilePull) -> None:
    bank.tables = {
        "movements": {"path": "m*.csv"},
        "names": {"path": "n*.csv", "ready": {"done_suffix": ".ok"}},
    }
    bank.query = "select movements.* from movements join names using (customer)"
    bank.write("m.csv", content("A"))
    bank.write("n.csv", "customer\nC1\n")
    assert ids(bank) == []
    bank.write("n.csv.ok", "")
    assert ids(bank) == ["A"]
    bank.write("m2.csv", content("B"))
    assert ids(bank) == ["A", "B"]  # the tables' other files are read again with it


# --- new


def test_one_content_is_read_once_whatever_its_name(bank: FilePull) -> None:
    bank.write("a.csv", content("A"))
    bank.write("a_again.csv", content("A"))
    assert ids(bank) == ["A"]
    (bank.inbox / "a.csv").rename(bank.inbox / "renamed.csv")
    bank.write("a_again.csv", content("A"))
    assert ids(bank) == []
    bank.write("b.csv", content("B"))
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id") == [("B",)]
    # noted, so that they are not hashed again
    assert {file.path for file in extract.files} >= {"b.csv", "renamed.csv"}


def test_a_query_does_not_double_a_file_that_came_twice(bank: FilePull) -> None:
    bank.query = "select * from movements"
    bank.write("a.csv", content("A"))
    bank.write("b.csv", content("A"))
    assert ids(bank) == ["A"]


def test_an_unchanged_file_is_not_even_hashed(bank: FilePull) -> None:
    path = bank.write("a.csv", content("A"))
    state = path.stat()
    seen = SeenFile("a.csv", state.st_size, state.st_mtime_ns, "another digest")
    bank.watermark = Watermark(files={"a.csv": seen})
    assert ids(bank) == []
    os.utime(path, ns=(0, 0))
    assert ids(bank) == ["A"]


# --- readable


def test_a_missing_folder(bank: FilePull) -> None:
    bank.folder = str(bank.root / "nowhere")
    assert unavailable(bank).what == "the folder does not exist"
    bank.folder = str(bank.write("file", ""))
    assert "folder cannot be read: Not a directory" in unavailable(bank).what


def test_no_file_at_all(bank: FilePull) -> None:
    assert "no file matches *.csv" in unavailable(bank).what


@pytest.mark.parametrize(
    ("target", "message"),
    [("a.csv", "link that leads to itself"), ("gone", "leads nowhere")],
)
def test_links_that_lead_nowhere(bank: FilePull, target: str, message: str) -> None:
    bank.write("b.csv", content("B"))
    (bank.inbox / "a.csv").symlink_to(bank.inbox / target)
    found = unavailable(bank)
    assert message in found.what
    assert found.where.endswith("a.csv")


def test_a_folder_that_is_a_loop(bank: FilePull) -> None:
    (bank.root / "loop").symlink_to(bank.root / "loop")
    bank.folder = str(bank.root / "loop")
    assert "link that leads to itself" in unavailable(bank).what


@contextmanager
def without_rights() -> Iterator[None]:
    """As a user to whom permissions apply."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_or_folder_without_permission() -> None:
    root = Path(tempfile.mkdtemp(prefix="marts-test-"))
    try:
        root.chmod(0o777)
        bank = FilePull(root, {"path": "*.csv"})
        path = bank.write("a.csv", content("A"))
        bank.inbox.chmod(0o755)
        path.chmod(0o000)
        with without_rights():
            assert "file cannot be read: permission denied" in unavailable(bank).what
        bank.inbox.chmod(0o000)
        with without_rights():
            assert "folder cannot be read: permission denied" in unavailable(bank).what
        bank.inbox.chmod(0o755)
    finally:
        shutil.rmtree(root)


def test_a_file_that_grows_while_it_is_read_is_left(bank: FilePull) -> None:
    path = bank.write("a.csv", content(*(f"A{i}" for i in range(5_000))))
    done = threading.Event()

    def write_on() -> None:
        with path.open("a") as stream:
            while not done.is_set():
                stream.write("B,2026")  # never a whole row
                stream.flush()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        assert "still being written" in unavailable(bank).what
    finally:
        done.set()
        writer.join()


# --- anywhere


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[tuple[FilePull, Any]]:
    system = fsspec.filesystem("memory")
    bank = FilePull(tmp_path, {"path": "*.csv"}, folder="memory://inbox/${DAY}")
    bank.environment = {"DAY": "2026"}
    yield bank, system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def test_files_behind_an_address(memory: tuple[FilePull, Any]) -> None:
    bank, system = memory
    system.pipe("/inbox/2026/a.csv", content("A").encode())
    system.pipe("/inbox/2026/sub/b.csv", content("B").encode())
    system.pipe("/inbox/2026/c.txt", b"")
    extract = bank.pull()
    assert extract is not None
    assert rows_of(extract, "id, _source") == [("A", "a.csv:record 1")]
    bank.release(extract)
    assert ids(bank) == []
    # only what is new is copied
    system.pipe("/inbox/2026/d.csv", content("D").encode())
    assert ids(bank) == ["D"]
    copies = bank.root / f"work_{bank.count}" / "fetched"
    assert [path.name for path in copies.iterdir()] == ["000000_d.csv"]
    system.pipe("/inbox/2026/a_again.csv", content("A").encode())
    assert ids(bank) == []


@pytest.mark.parametrize("way", ["marker", "checksums", "settled"])
def test_complete_files_behind_an_address(memory: tuple[FilePull, Any], way: str) -> None:
    bank, system = memory
    ready = {"marker": {"done_suffix": ".done"}, "checksums": {"checksums": "SUMS"}}
    bank.table = {"path": "*", "ready": ready.get(way, {"settle_seconds": 60})}
    bank.now = datetime.now(UTC)
    data = content("A").encode()
    system.pipe("/inbox/2026/a.csv", data)
    assert ids(bank) == []
    if way == "marker":
        system.pipe("/inbox/2026/a.csv.done", b"")
    elif way == "checksums":
        system.pipe("/inbox/2026/SUMS", f"{hashlib.sha256(data).hexdigest()}  a.csv\n".encode())
    bank.now += timedelta(seconds=61)
    assert ids(bank) == ["A"]


def test_a_remote_folder_or_file_that_is_not_there(memory: tuple[FilePull, Any]) -> None:
    bank, system = memory
    assert unavailable(bank).what == "the folder does not exist"
    system.pipe("/inbox/2026/a.txt", b"")
    assert "no file matches" in unavailable(bank).what


def zipped(path: Path, **files: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"out/{name}.csv", text)


def test_files_in_an_archive(bank: FilePull) -> None:
    path = bank.root / "in.zip"
    zipped(path, a=content("A"))
    bank.folder = f"zip://out::{path}"
    assert ids(bank) == ["A"]
    zipped(path, a=content("A"), b=content("B"))
    assert ids(bank) == ["B"]
    bank.folder, bank.table = f"zip://::{path}", {"path": "**/*.csv"}
    extract = bank.pull()
    assert extract is None  # the same contents under other names
    path.write_bytes(path.read_bytes()[:-30])
    assert "cannot be read" in unavailable(bank).what


def test_an_archive_cannot_settle(bank: FilePull) -> None:
    zipped(bank.root / "in.zip", a=content("A"))
    bank.folder = f"zip://out::{bank.root / 'in.zip'}"
    bank.table = {"path": "*.csv", "ready": {"settle_seconds": 1}}
    with pytest.raises(ConfigurationError, match="does not say when a file was changed"):
        bank.pull()


def test_excel_and_parquet_behind_an_address(memory: tuple[FilePull, Any]) -> None:
    import openpyxl

    bank, system = memory
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(HEADER.split(","))
    book.active.append(["A", "2026-01-05", "C1", 1, None])
    saved = io.BytesIO()
    book.save(saved)
    system.pipe("/inbox/2026/a.xlsx", saved.getvalue())
    bank.table = {"path": "*.xlsx"}
    assert ids(bank) == ["A"]


@pytest.mark.parametrize(
    ("address", "package"),
    [("s3://bucket/in", "s3fs"), ("sftp://host/in", "paramiko"), ("zip://::gs://b/a.zip", "gcsfs")],
)
def test_a_driver_that_is_not_installed(bank: FilePull, address: str, package: str) -> None:
    try:
        __import__(package)
    except ImportError:
        pass
    else:
        pytest.skip(f"{package} is installed")
    bank.folder = address
    with pytest.raises(ConfigurationError) as caught:
        bank.pull()
    assert caught.value.todo == f"pip install {package}"


def test_an_address_nobody_knows(bank: FilePull) -> None:
    bank.folder = "nfs4://host/in"
    with pytest.raises(ConfigurationError, match="'nfs4' is no kind of address"):
        bank.pull()


class Server(MemoryFileSystem):
    """A file server that asks for a login, and on which a file grows with every look at it."""

    protocol = "testserver"
    store: ClassVar[dict[str, Any]] = {}
    logins: ClassVar[list[tuple[str, Any, Any]]] = []

    def __init__(self, host: str = "", token: str = "", port: int = 22, tls: bool = False) -> None:
        super().__init__()
        self.logins.append((token, port, tls))
        self.token = token

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return super()._strip_protocol(str(path).replace("testserver://", "memory://"))

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        if self.token == "wrong-token":
            raise PermissionError(errno.EACCES, "no")
        if self.token == "leaky-token":
            raise RuntimeError("GET testserver://u:pw@host/x?sig=1 failed for leaky-token\nmore")
        found: dict[str, Any] = super().info(path, **options)
        if self.token == "growing-token" and found["type"] == "file":
            with self.open(path, "ab") as stream:
                stream.write(b"B,2026-01-05,C1,1.00,\n")
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FilePull]:
    fsspec.register_implementation("testserver", Server, clobber=True)
    system = Server()
    system.pipe("/in/a.csv", content("A").encode())
    bank = FilePull(tmp_path, {"path": "*.csv"}, folder="testserver://in")
    bank.options = {"token": "${TOKEN}", "port": "2222", "tls": "true"}
    yield bank
    Server.store.clear()
    Server.logins.clear()


def test_options_come_from_the_environment_in_their_types(server: FilePull) -> None:
    server.environment = {"TOKEN": "12345"}
    assert ids(server) == ["A"]
    assert Server.logins[-1] == ("12345", 2222, True)


def test_a_refused_login(server: FilePull) -> None:
    server.environment = {"TOKEN": "wrong-token"}
    assert "permission denied" in unavailable(server).what


def test_what_a_server_says_is_shown_without_secrets(server: FilePull) -> None:
    server.environment = {"TOKEN": "leaky-token"}
    found = str(unavailable(server))
    assert "GET testserver://***@host/x" in found
    for secret in ("leaky-token", "pw", "sig=1"):
        assert secret not in found


def test_a_remote_file_that_grows_is_left(server: FilePull) -> None:
    server.environment = {"TOKEN": "growing-token"}
    assert "still being written" in unavailable(server).what
