"""Fingerprints of a model: its weights', and those of all its files, stored beside them, so that damage is noticed.

<model>/SHA256SUMS    a line per file, as `sha256sum` writes them and `sha256sum -c SHA256SUMS` checks them
"""

import hashlib
import re
from pathlib import Path

from data_utils.errors import UserError
from data_utils.files import sha256

SUMS_FILE = "SHA256SUMS"


def weights_fingerprint(model: str | Path) -> str | None:
    """Return the SHA-256 of the weights in a model's folder; None where it has none, and for a hub name.

    Large weights lie in several files: then it is that of the files' fingerprints, one after the other.
    """
    files = sorted(path for path in Path(model).glob("model*.safetensors") if path.is_file())
    if len(files) <= 1:
        return sha256(files[0]) if files else None
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def write_checksums(folder: Path) -> None:
    """Write the fingerprints of all files in `folder` to its SHA256SUMS."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS_FILE)
    (folder / SUMS_FILE).write_text("".join(f"{sha256(path)}  {path.name}\n" for path in files), encoding="utf-8")


def refuse_damaged_files(folder: Path) -> None:
    """Raise UserError, naming the file, if a file in `folder` differs from its fingerprint in SHA256SUMS.

    A model whose SHA256SUMS was removed passes. So does a file that was added later.
    """
    sums = folder / SUMS_FILE
    if not sums.exists():
        return
    for number, line in enumerate(sums.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        found = re.fullmatch(r"([0-9a-f]{64})  ([^/]+)", line)
        if not found:
            raise UserError(
                f"{sums}:{number}: {line[:80]!r}, expected a fingerprint and a file, as sha256sum writes them"
            )
        path = folder / found[2]
        if not path.is_file():
            raise UserError(f"{path}: no such file, expected the one that {SUMS_FILE} names")
        if sha256(path) != found[1]:
            raise UserError(
                f"{path}: damaged or changed, expected the file with the fingerprint in {SUMS_FILE}; "
                f"copy the model again, or remove {SUMS_FILE} if you changed the file yourself"
            )
