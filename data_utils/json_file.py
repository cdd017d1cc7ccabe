"""JSON for people: every JSON file of ours is read and written here."""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_utils.errors import NoSuchFile, UserError
from data_utils.files import reading, write_whole

DEEPEST = 50  # levels of nesting; files of ours have 6
TOO_DEEP = "nested too deep", f"at most {DEEPEST} levels"
LARGEST = 2**63 - 1  # of whole numbers, either sign: what other programs read as a number too


class Unusable(ValueError):
    """A file holds something that we cannot use: Unusable(what was found, what was expected)."""

    def line(self, path: str | Path) -> str:
        """Return the error line for the reader."""
        found, expected = self.args
        return f"{path}: {found}, expected {expected}"


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write `content` as JSON for people, whole or not at all: indented, but a list of plain values is one line."""
    with write_whole(path) as file:
        file.write(to_json(content))


def to_json(content: dict[str, Any]) -> str:
    """Return what write_json() writes."""
    return _to_json(content, "\n") + "\n"


def _to_json(value: object, line_end: str) -> str:
    """`line_end`: a line feed and the indentation of the line that `value` begins on."""
    deeper = line_end + "  "
    if isinstance(value, dict) and value:
        entries = (
            f"{json.dumps(name, ensure_ascii=False)}: {_to_json(entry, deeper)}" for name, entry in value.items()
        )
        return "{" + deeper + f",{deeper}".join(entries) + line_end + "}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, (dict, list, tuple)) for item in value):
        return "[" + deeper + f",{deeper}".join(_to_json(item, deeper) for item in value) + line_end + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def read_json(path: str | Path, what: str) -> dict[str, Any]:
    """Return the object that the JSON file `path` holds.

    `what`: what the file should be, for the error line ("a mask", "importance scores", ...).

    Raises UserError if the file is missing or cut short, or if it holds something else than a JSON object, the same key
    twice in one object, a number that is not finite or has more than 64 bits, or text that UTF-8 does not have.
    """
    return parse_json(read_text(path, f"{what} as JSON"), path, what)


def read_json_lines(path: str | Path, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return ("path:line", object) for every line of a file with a JSON object in each.

    Raises UserError as read_json does.
    """
    return parse_json_lines(read_text(path, f"{what} in every line, as JSON"), path, what)


def write_json_lines(path: str | Path, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write a line of JSON per entry, whole or not at all; read_json_lines() reads them back."""
    with write_whole(path) as file:
        file.write(to_json_lines(entries))


def to_json_lines(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return what write_json_lines() writes."""
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def parse_json_lines(text: str, path: str | Path, what: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Like read_json_lines, but from `text`, which was read from `path`."""
    lines = text.removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines, 1):
        yield f"{path}:{number}", parse_json(line, f"{path}:{number}", what)


def parse_json(text: str, where: str | Path, what: str) -> dict[str, Any]:
    """Return the object that `text`, read from `where`, holds; raise UserError as read_json."""
    try:
        content = json.loads(
            text,
            object_pairs_hook=_each_key_once,
            parse_int=bounded_integer,
            parse_float=_finite,
            parse_constant=_finite,
        )
        refuse_unusable(content)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}:{error.lineno}: not JSON ({error.msg}), expected {what}") from None
    except Unusable as error:
        raise UserError(error.line(where)) from None
    except RecursionError:
        raise UserError(Unusable(*TOO_DEEP).line(where)) from None
    if not isinstance(content, dict):
        raise UserError(f"{where}: a JSON {type(content).__name__}, expected {what} as an object")
    return content


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unusable(f"{twice!r} stands twice in one object", "every key once")
    return entries


def bounded_integer(digits: str) -> int:
    """Return the number that `digits` are; raise Unusable beyond 64 bits."""
    if len(digits) > len(str(-LARGEST)) or abs(int(digits)) > LARGEST:
        raise Unusable(f"a whole number of {len(digits.lstrip('-'))} digits", "one of at most 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise Unusable(digits[:80], "a finite number")
    return value


def read_text(path: str | Path, what: str) -> str:
    """Return the text of the UTF-8 file `path`; raise UserError if there is none, with `what` as what was expected."""
    try:
        with reading(path):
            return Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NoSuchFile(path, what) from None
    except NotADirectoryError:
        raise UserError(f"{path}: {Path(path).parent} is no folder, expected {what}") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder, expected {what}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text, expected {what}") from None


def is_utf8(text: str) -> bool:
    """Whether UTF-8 can encode `text`: not half of a surrogate pair, as which Python shows bytes that are not UTF-8."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def fingerprint_of(content: dict[str, Any], digits: int = 16) -> str:
    """Return the first hexadecimal `digits` (at most 64) of the SHA-256 of `content`, which JSON can hold."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:digits]


def refuse_unusable(content: object) -> None:
    """Raise Unusable for content that is nested too deep, or that could not be written back as JSON."""
    left: list[tuple[object, int]] = [(content, 0)]
    seen: set[int] = set()
    while left:
        value, depth = left.pop()
        if depth > DEEPEST:
            raise Unusable(*TOO_DEEP)
        if isinstance(value, str):
            if not is_utf8(value):
                raise Unusable(repr(value[:80]), "text that UTF-8 can encode (half of a surrogate pair can't be)")
        elif isinstance(value, float):
            _finite(str(value))
        elif type(value) is int:
            bounded_integer(str(value))
        elif isinstance(value, (dict, list)) and id(value) not in seen:  # an alias of YAML can lead back up
            seen.add(id(value))
            parts = [*value, *value.values()] if isinstance(value, dict) else value
            left += [(part, depth + 1) for part in parts]
