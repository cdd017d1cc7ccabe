"""How a flag is declared: as a field of a dataclass, with its default, its help and the values that it takes."""

import argparse
import dataclasses
import math
from collections.abc import Callable
from typing import Any

from data_utils.json_file import LARGEST


def flag(default: object, help_text: str, **more: Any) -> Any:
    """Return a dataclass field that becomes a command-line flag.

    `more` goes to argparse's add_argument, except `name`, the flag's name where it is not the field's, and
    `positional=True`.
    """
    metadata = {"help": help_text, **more}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


# ---- the values that a flag takes: argparse types ----


def number(kind: type[int] | type[float], low: float, high: float = math.inf, above: bool = False) -> Callable:
    """Return an argparse type: a number from `low` (with `above`: greater than `low`) to `high`.

    It is written as a config.json can hold it: in ASCII digits, a whole number in 64 bits.
    """
    high = min(high, LARGEST) if kind is int else high

    def convert(text: str) -> int | float:
        try:
            value = kind(text) if text.isascii() and "_" not in text else math.nan
        except ValueError:
            value = math.nan  # is in no range
        is_in_range = (low < value if above else low <= value) and value <= high and not math.isinf(value)
        if not is_in_range:
            upper = f" up to {high}" if high < LARGEST or value > high else ""
            raise argparse.ArgumentTypeError(
                f"{text[:80]!r}, expected {'a whole number' if kind is int else 'a number'} "
                f"{'above' if above else 'from'} {low}{upper}"
            )
        return value

    return convert


def names(text: str) -> list[str]:
    """An argparse type: names separated by commas, at least one, each once."""
    found = [name.strip() for name in text.split(",") if name.strip()]
    if not found or len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"{text!r}, expected names separated by commas, each once")
    return found


def not_empty(expected: str) -> Callable[[str], str]:
    """Return an argparse type: text that is not empty, as that of an unset variable of a shell is."""

    def convert(text: str) -> str:
        if not text.strip():
            raise argparse.ArgumentTypeError(f"{text!r}, expected {expected}")
        return text

    return convert


name = not_empty("a name")  # an empty one would count as none
path = not_empty("the name of a file or folder")  # an empty one would be the current folder
COUNT = number(int, 1)
SEED = number(int, 0, 2**63 - 1)
FRACTION = number(float, 0, 1, above=True)


def fractions(text: str) -> float | list[float]:
    """An argparse type: a fraction, or several separated by commas, one for each task."""
    found = [FRACTION(part) for part in text.split(",")]
    return found[0] if len(found) == 1 else found
