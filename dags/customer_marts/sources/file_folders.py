"""Where files lie: a folder of this machine, or an address that fsspec opens."""

from __future__ import annotations

import errno
import inspect
import os
import re
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from customer_marts.errors import ConfigurationError, MartsError, SourceUnavailable
from customer_marts.feeds import FilesSource
from customer_marts.settings import PROJECT_ROOT, Settings

KEPT = "the last release and everything landed"
# what file systems call the time of a file's last change
_MODIFIED = ("mtime", "LastModified", "last_modified", "modified", "updated", "modify")


@dataclass(frozen=True)
class Entry:
    """A file as it was when listed. name: its path under the folder. modified_ns: since 1970,
    None where the file system does not say.
    """

    name: str
    size: int
    modified_ns: int | None


class Folder(ABC):
    """The files of a source. Every failure is SourceUnavailable or, where the company file or the
    installation is to blame, ConfigurationError.
    """

    where: str

    @abstractmethod
    def find(self, pattern: str) -> list[Entry]:
        """The files that match, by name."""

    @abstractmethod
    def exists(self, name: str) -> bool: ...

    @abstractmethod
    def read(self, name: str) -> bytes: ...

    @abstractmethod
    def fetch(self, entry: Entry) -> Path:
        """A path on this machine with the file's bytes."""

    @abstractmethod
    def entry(self, name: str) -> Entry:
        """The file as it is now."""

    def check_unchanged(self, entry: Entry) -> None:
        """Raise SourceUnavailable when the file is no longer as it was when listed."""
        now = self.entry(entry.name)
        if now != entry:
            raise SourceUnavailable(
                "the file changed while it was read: it is still being written",
                where=f"{self.where}/{entry.name}",
                kept=KEPT,
                todo="run again when it is complete; state in the company file how a file shows "
                "that it is (ready), and it is left alone until then",
            )


def open_folder(settings: Settings, source: FilesSource, work: Path, where: str) -> Folder:
    """The source's folder. A relative path is relative to the project; remote files are copied
    into ``work``.
    """
    address = settings.expand(source.folder, where).removeprefix("file://")
    if "://" not in address:
        return LocalFolder(PROJECT_ROOT / Path(address).expanduser(), where)
    options = {name: settings.expand(value, where) for name, value in source.options.items()}
    secrets = [options[name] for name, value in source.options.items() if "${" in value]
    return RemoteFolder(address, options, secrets, work, where)


@contextmanager
def reading_from(where: str, thing: str = "file") -> Iterator[None]:
    """What goes wrong with reading a path of this machine is SourceUnavailable."""
    try:
        yield
    except OSError as error:
        what, todo = {
            errno.ENOENT: ("does not exist", "check the path in the company file")
            if thing == "folder"
            else ("vanished, or is a link that leads nowhere", "run again, or remove the link"),
            errno.ELOOP: ("is a symbolic link that leads to itself", "repair the link"),
            errno.EACCES: (
                "cannot be read: permission denied",
                f"give this process's user the right to read the {thing}",
            ),
            errno.ENOSPC: (
                "could not be taken over: this machine's disk is full",
                "make room under MARTS_HOME, then run again",
            ),
        }.get(
            error.errno or 0,
            (
                f"cannot be read: {error.strerror or error}",
                "check the disk or the mount, then run again",
            ),
        )
        raise SourceUnavailable(f"the {thing} {what}", where=where, kept=KEPT, todo=todo) from error


class LocalFolder(Folder):
    """A folder of this machine or mounted on it."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, f"{where}: {path}"
        with reading_from(self.where, "folder"):
            os.scandir(path).close()

    def find(self, pattern: str) -> list[Entry]:
        entries = []
        for path in sorted(self.path.glob(pattern)):
            name = str(path.relative_to(self.path))
            with reading_from(f"{self.where}/{name}"):
                is_file = stat.S_ISREG(path.stat().st_mode)
            if is_file:
                entries.append(self.entry(name))
        return entries

    def exists(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        with reading_from(f"{self.where}/{name}"):
            return (self.path / name).read_bytes()

    def fetch(self, entry: Entry) -> Path:
        return self.path / entry.name

    def entry(self, name: str) -> Entry:
        with reading_from(f"{self.where}/{name}"):
            state = (self.path / name).stat()
        return Entry(name, state.st_size, state.st_mtime_ns)


class RemoteFolder(Folder):
    """A folder behind an fsspec address, such as s3://bucket/in or zip://in::/data/a.zip."""

    def __init__(
        self, address: str, options: dict[str, str], secrets: list[str], work: Path, where: str
    ) -> None:
        self.where = f"{where}: {_without_password(address)}"
        self.secrets, self.copies = secrets, work / "fetched"
        from fsspec.core import url_to_fs
        from fsspec.registry import known_implementations

        # zip://in::s3://bucket/a.zip is a chain of file systems; a plain path may end it
        chain = [part.split("://") for part in address.split("::")]
        kinds = [
            self._kind(protocol)
            for protocol, *rest in chain
            if rest or protocol in known_implementations
        ]
        # a listing or an archive that is kept between pulls would hide new files
        with self._reading(""):
            self.system, root = url_to_fs(
                address, skip_instance_cache=True, **_typed(kinds[0], options)
            )
        self.root = root.rstrip("/")

    def _kind(self, protocol: str) -> Any:
        import fsspec

        try:
            return fsspec.get_filesystem_class(protocol)
        except ImportError as error:
            raise ConfigurationError(
                f"files at {protocol}:// need a package that is not installed: {error}",
                where=self.where,
                kept=KEPT,
                todo=f"pip install {_package(protocol, error)}",
            ) from error
        except ValueError as error:
            raise ConfigurationError(
                f"'{protocol}' is no kind of address that fsspec knows",
                where=self.where,
                kept=KEPT,
                todo="correct the source's folder in the company file",
            ) from error

    def find(self, pattern: str) -> list[Entry]:
        with self._reading(""):
            self.system.invalidate_cache()
            found = self.system.glob(self._path(pattern), detail=True)
            if not found and self.root:
                self.system.info(self.root)  # raises what glob has passed over in silence
            entries = [
                self._entry(path, state) for path, state in found.items() if state["type"] == "file"
            ]
        return sorted(entries, key=lambda entry: entry.name)

    def exists(self, name: str) -> bool:
        with self._reading(name):
            try:  # fsspec's own exists takes every failure for an absence
                self.system.info(self._path(name))
            except FileNotFoundError:
                return False
            return True

    def read(self, name: str) -> bytes:
        with self._reading(name):
            content: bytes = self.system.cat_file(self._path(name))
            return content

    def fetch(self, entry: Entry) -> Path:
        self.copies.mkdir(exist_ok=True)
        count = len(list(self.copies.iterdir()))
        copy = self.copies / f"{count:06d}_{PurePosixPath(entry.name).name}"
        with self._reading(entry.name):
            self.system.get_file(self._path(entry.name), str(copy))
        self.check_unchanged(entry)
        if copy.stat().st_size != entry.size:
            raise SourceUnavailable(
                f"{copy.stat().st_size} of {entry.size} bytes arrived",
                where=f"{self.where}/{entry.name}",
                kept=KEPT,
                todo="run again; if it stays so, ask the operator of the file server",
            )
        return copy

    def entry(self, name: str) -> Entry:
        with self._reading(name):
            self.system.invalidate_cache()
            return self._entry(self._path(name), self.system.info(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name

    def _entry(self, path: str, state: dict[str, Any]) -> Entry:
        name = path[len(self.root) :].lstrip("/")
        value = next((state[key] for key in _MODIFIED if state.get(key) is not None), None)
        if value is None:
            try:
                value = self.system.modified(path)
            except NotImplementedError:
                value = None
        moment = _nanoseconds(value)
        if moment is not None:
            moment -= moment % 1_000_000_000  # a listing may be finer than the file's own answer
        return Entry(name, int(state["size"] or 0), moment)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Whatever a file system's driver raises means that the source did not answer."""
        try:
            yield
        except MartsError:
            raise
        except Exception as error:
            text = str(error) or type(error).__name__
            for secret in self.secrets:
                text = text.replace(secret, "***") if len(secret) > 3 else text
            thing = "file" if name else "folder"
            what = f"the {thing} cannot be read: {_without_password(text.splitlines()[0])}"
            if isinstance(error, FileNotFoundError):
                what = "the file vanished" if name else "the folder does not exist"
            elif isinstance(error, PermissionError):
                what = f"the {thing} cannot be read: permission denied"
            raise SourceUnavailable(
                what,
                where=f"{self.where}/{name}" if name else self.where,
                kept=KEPT,
                todo="check the address, the login and the server; then run again",
            ) from error


def _without_password(text: str) -> str:
    return re.sub(r"//[^@/\s]+@", "//***@", text).split("?")[0]


def _package(protocol: str, error: ImportError) -> str:
    """The package to install: the driver's own, or the one that fsspec's message names."""
    from fsspec.registry import known_implementations

    owner = str(known_implementations[protocol]["class"]).split(".")[0]
    if owner != "fsspec":
        return owner
    named = re.findall(r'"([A-Za-z0-9_-]+)"', str(error))
    missing = getattr(error.__cause__, "name", None)
    return str(missing) if missing in named or not named else named[0]


def _typed(kind: Any, options: dict[str, str]) -> dict[str, Any]:
    """Options come as texts: those that the file system takes as numbers or flags become such."""
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
    }
    typed: dict[str, Any] = {}
    for name, text in options.items():
        default = defaults.get(name)
        if isinstance(default, bool):
            typed[name] = text.strip().lower() in ("1", "true", "yes")
        elif isinstance(default, int | float) and text.replace(".", "", 1).isdigit():
            typed[name] = type(default)(text)
        else:
            typed[name] = text
    return typed


def _nanoseconds(value: Any) -> int | None:
    """A time of change as file systems write it: seconds, a datetime or digits, in UTC."""
    if isinstance(value, str):
        try:
            digits = re.sub(r"\D", "", value)[:14]
            value = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            return None
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    return round(value * 1e9) if isinstance(value, int | float) else None
