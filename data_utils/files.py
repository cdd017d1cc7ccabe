"""Files that are written whole or not at all."""

import contextlib
import hashlib
import os
import shutil
import socket
import time
from pathlib import Path

from data_utils.errors import UserError


@contextlib.contextmanager
def write_whole(path, mode="w"):
    """Open `path` for writing so that it appears whole or not at all: written beside, then renamed.

    On an exception inside the block nothing is left behind and an older file stays as it was.
    """
    path = Path(os.path.abspath(path))
    if path.is_dir():
        raise UserError(f"{path}: a folder, expected the name of a file to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with open(
            beside, mode, encoding=None if "b" in mode else "utf-8", newline=None if "b" in mode else "\n"
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        if error.filename in (None, str(beside)):  # a full disk does not tell
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def write_folder_whole(folder):
    """Yield an empty folder to fill with files; it takes the place of `folder` only when the block ends well."""
    folder = Path(os.path.abspath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(folder)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        for path in beside.iterdir():
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        os.rename(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _beside(path):
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")


def remove_left_overs(folder):
    """Remove what processes of this machine that are no more left half-written in `folder`, and others' of days ago."""
    for part in Path(folder).glob(".*.part"):
        pid = part.name.split(".")[-2]
        with contextlib.suppress(OSError):  # another may be removing it too
            here = part.name.endswith(f".{socket.gethostname()}.{pid}.part")
            if not (_is_alive(pid) if here else time.time() - part.stat().st_mtime < 2 * 24 * 3600):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _is_alive(pid):
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def find(folder, pattern):
    """Return the files below `folder` that match `pattern` (its end of the path), sorted. Checkpoints, which may vanish meanwhile, are passed over."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "checkpoint" and not name.startswith(".")]
        found += [path for path in map(Path(place).joinpath, files) if path.match(pattern)]
    return sorted(found)


def save_tensors(path, tensors, metadata):
    """Write `tensors` by name as a safetensors file; raise UserError where it can't be written, as on a full disk."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, path, metadata)
    except SafetensorError as error:
        raise UserError(f"{path}: {error}") from None


def sha256(path):
    """Return the SHA-256 of a file as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
