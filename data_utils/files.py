"""Files that are written whole or not at all."""

import contextlib
import fcntl
import functools
import hashlib
import os
import re
import shutil
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from data_utils.errors import UserError


@contextlib.contextmanager
def write_whole(path: str | Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open `path` for writing. The file is written beside its place and renamed into it when the block ends.

    After an exception inside the block nothing is left behind, and an older file stays as it was. A link stays a link:
    the file that it leads to is written. A device or a pipe (/dev/null, say) can't be replaced: it is written directly.

    Raises UserError if a folder has that name, or for text that UTF-8 does not have; OSError, with the name of the
    file, if it can't be written, as on a full disk.
    """
    kind = _kind(Path(path))
    if kind == stat.S_IFDIR:
        raise UserError(f"{path}: a folder, expected the name of a file to write")
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "\n")
    if kind not in (None, stat.S_IFREG):
        with _errors_name(path, Path(path)), open(path, mode, encoding=encoding, newline=newline) as file:
            yield file
        return
    place = _place(path)
    beside = _beside(place)
    with folder_for(place):
        remove_left_overs(place.parent)
        try:
            with _errors_name(path, beside):
                with open(beside, mode, encoding=encoding, newline=newline) as file:
                    yield file
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(beside, place)
        finally:
            beside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_whole(folder: str | Path) -> Iterator[Path]:
    """Yield an empty folder to fill with files. It takes the place of `folder` when the block ends.

    After an exception inside the block an older folder stays as it was. A link stays a link: the folder that it leads
    to is replaced.

    Raises UserError if a file has that name; OSError, with the name of `folder`, if a file can't be written.
    """
    place = _place(folder)
    if _kind(place) not in (None, stat.S_IFDIR):
        raise UserError(f"{folder}: a file, expected a folder, or nothing of that name; move it away")
    beside, old = _beside(place), _beside(place.with_name(f"{place.name}.old"))
    with folder_for(place):
        try:
            with _errors_name(folder, beside):
                remove_left_overs(place.parent)
                for left_over in (beside, old):  # of an earlier process with this one's number
                    shutil.rmtree(left_over, ignore_errors=True)
                beside.mkdir()
                yield beside
                for path in filter(Path.is_file, beside.rglob("*")):
                    with open(path, "rb") as file:
                        os.fsync(file.fileno())
                with alone_in(place.parent):  # another process may write the same folder
                    try:
                        if place.exists():
                            os.rename(place, old)
                        os.rename(beside, place)
                    finally:
                        if old.exists() and not place.exists():
                            os.rename(old, place)
        finally:
            for left_over in (beside, old):
                shutil.rmtree(left_over, ignore_errors=True)


def _place(path: str | Path) -> Path:
    """Return where to write `path`: where it leads if it is a link."""
    path = Path(path)
    place = Path(os.path.realpath(path)) if path.is_symlink() else Path(os.path.abspath(path))
    if path.is_symlink() and not place.parent.is_dir():
        raise UserError(f"{path}: a link to {place}, expected {place.parent} to be there (is its disk mounted?)")
    return place


def _kind(place: Path) -> int | None:
    """Return what lies at `place`, or where it leads, such as stat.S_IFDIR, or None.

    Call it once per write: another process may replace the file between two calls.
    """
    try:
        return stat.S_IFMT(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


@contextlib.contextmanager
def folder_for(place: Path) -> Iterator[None]:
    """Within the block the folder above `place` exists.

    After an exception, folders that were made for it are removed if they are empty.
    """
    made = [folder for folder in place.parents if not folder.exists()]
    make_folder(place.parent)
    try:
        yield
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):  # not empty, or another process was faster
                folder.rmdir()
        raise


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Within the block no other process is in such a block of the same `folder`: a second one waits.

    A file system without locks does not keep them apart.
    """
    with contextlib.ExitStack() as held:
        for path, mode in ((folder, os.O_RDONLY), (folder / ".lock", os.O_RDWR | os.O_CREAT)):
            with contextlib.suppress(OSError):  # NFS locks only what is open for writing, so no folder
                opened = os.open(path, mode, 0o666)
                held.callback(os.close, opened)
                fcntl.flock(opened, fcntl.LOCK_EX)
                break
        yield


def make_folder(folder: str | Path) -> None:
    """Make `folder` and those above it where they are missing.

    Raises UserError if a file has one of their names, or a link that leads nowhere.
    """
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        above = [Path(folder), *Path(folder).parents]
        found = next(path for path in above if os.path.lexists(path) and not path.is_dir())
        _place(found)  # refuses a link to a disk that is not there
        what = "a file" if found.exists() else "a link that leads nowhere"
        raise UserError(f"{found}: {what}, expected a folder, or nothing of that name") from None


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Within the block, an OSError that names no file, as that of a damaged disk, names `path`."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


@contextlib.contextmanager
def _errors_name(path: str | Path, beside: Path) -> Iterator[None]:
    """Within the block, an error about `beside` names `path` instead, which the reader knows."""
    try:
        yield
    except UnicodeEncodeError as error:
        unknown = error.object[error.start : error.end]
        raise UserError(f"{path}: {unknown!r} can't be written, expected text that UTF-8 can encode") from None
    except OSError as error:
        if error.filename is None:  # that of a full disk names no file
            error.filename = str(path)
        elif str(error.filename).startswith(str(beside)):
            error.filename = str(path) + str(error.filename).removeprefix(str(beside))
        raise
    except Exception as error:
        if system_error := _system_error(error, path):
            raise system_error from None
        raise


def _system_error(error: Exception, path: str | Path) -> OSError | None:
    """Return the OSError behind an error of a Rust library (tokenizers, safetensors); the text has the number."""
    found = re.search(r"\(os error (\d+)\)", str(error))
    return OSError(int(found[1]), os.strerror(int(found[1])), str(path)) if found else None


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{_machine()}.{os.getpid()}.part")


@functools.cache
def _machine() -> str:
    """Name the machine, since its last start, or the container in which a process number is unique.

    Several containers, or machines, may have the same host name.
    """
    try:
        since_its_start = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{since_its_start}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # no Linux
        return socket.gethostname()


def remove_left_overs(folder: str | Path) -> None:
    """Remove half-written files from `folder`: those of this machine's stopped processes, and those of other machines
    that are older than two days."""
    for part in Path(folder).glob(".*.part"):
        if not re.fullmatch(r"\..+\.\d+\.part", part.name):  # another program's
            continue
        pid = part.name.split(".")[-2]
        with contextlib.suppress(OSError):  # another process may be removing it too
            here = part.name.endswith(f".{_machine()}.{pid}.part")
            if not (_is_alive(pid) if here else time.time() - part.stat().st_mtime < 2 * 24 * 3600):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def find(folder: str | Path, pattern: str) -> list[Path]:
    """Return the files below `folder` whose path ends like `pattern`, sorted.

    Links to folders are followed, and what several paths lead to is found once. Hidden folders are left out, and
    checkpoints, which may vanish meanwhile. Raises OSError for a folder that can't be read.
    """
    found: list[Path] = []
    seen, tops = set(), [Path(folder)]
    for top in tops:  # grows by the links that are met
        for place, folders, files in os.walk(top, onerror=_unless_gone):
            if (real := os.path.realpath(place)) in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = [name for name in folders if name != "checkpoint" and not name.startswith(".")]
            tops += [path for path in map(Path(place).joinpath, sorted(folders)) if path.is_symlink()]
            found += [path for path in map(Path(place).joinpath, files) if path.match(pattern)]
    return sorted(found)


def _unless_gone(error: OSError) -> None:
    """Raise an error of os.walk, which it would ignore, unless there is no such folder (any more)."""
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def save_tensors(path: str | Path, tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    """Write `tensors` by name as a safetensors file; raise OSError, with its name, if it can't be written."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    except SafetensorError as error:
        raise _system_error(error, path) or error from None


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hex digits."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
