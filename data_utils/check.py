"""What a JSON or YAML file must hold, as small expectations that are put together.

    RUN = fields({"seed": integer(0), "kind": one_of("dense", "winning")}, optional={"note": TEXT})
    check(RUN, content, "result.json")

The first value that does not fit raises UserError: `result.json: seed: -1, expected a whole number from 0`.
A key below another is joined by a dot (`tickets.rte.ffns`), a place in a list stands in brackets (`ffns[2]`).
"""

import math
import reprlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_utils.errors import UserError

Misfit = tuple[str, str, str]  # the key, what was found there, what was expected


@dataclass(frozen=True)
class Expectation:
    """`expected`: in words, what a value should be. `misfits(key, value)`: yields a Misfit for what does not fit."""

    expected: str
    misfits: Callable[[str, object], Iterator[Misfit]]


def check(expectation: Expectation, value: object, where: str | Path, key: str = "", advice: str = "") -> None:
    """Raise UserError for the first thing in `value` that is not as expected.

    `where`: the file, as the reader knows it; `key`: where `value` stands in it ("" for all of it);
    `advice`: what the reader can do, added at the end of the line.
    """
    for misfit_key, found, expected in expectation.misfits(key, value):
        place = f"{where}: {misfit_key}" if misfit_key else where
        raise UserError(f"{place}: {found}, expected {expected}" + (f"; {advice}" if advice else ""))


def fits(expectation: Expectation, value: object) -> bool:
    """Whether `value` is as expected."""
    return next(expectation.misfits("", value), None) is None


def value_that(expected: str, holds: Callable[[Any], bool]) -> Expectation:
    """A value for which `holds(value)` is true; `expected` says so in words."""

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        if not holds(value):
            yield key, as_text(value), expected

    return Expectation(expected, misfits)


ANYTHING = value_that("anything", lambda value: True)
TEXT = value_that("text", lambda value: isinstance(value, str))
BOOLEAN = value_that("true or false", lambda value: isinstance(value, bool))
NULL = value_that("null", lambda value: value is None)


def integer(low: float = -math.inf, high: float = math.inf, name: str = "a whole number") -> Expectation:
    """A whole number from `low` to `high`; `name` says what it is ("a layer")."""
    return value_that(f"{name}{_bounds(low, high)}", lambda value: type(value) is int and low <= value <= high)


def number(low: float = -math.inf, high: float = math.inf, name: str = "a number") -> Expectation:
    """A finite number, whole or not, from `low` to `high`; `name` says what it is ("a score")."""
    return value_that(f"{name}{_bounds(low, high)}", lambda value: is_number(value) and low <= value <= high)


def is_number(value: object) -> bool:
    """Whether `value` is a finite number, whole or not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _bounds(low: float, high: float) -> str:
    if high < math.inf:
        return f" from {low} to {high}"
    return f" from {low}" if low > -math.inf else ""


def one_of(*values: str | int) -> Expectation:
    """One of these values."""
    known = {(type(value), value) for value in values}
    return value_that(
        f"one of {', '.join(map(str, values))}",
        lambda value: isinstance(value, (str, int)) and (type(value), value) in known,
    )


def list_of(item: Expectation, at_least: int = 0, distinct: bool = False, expected: str = "") -> Expectation:
    """A list of at least this many values, each as `item` says; with `distinct`, every value once."""
    expected = expected or f"a list{f' of at least {at_least}' * (at_least > 0)}, each {item.expected}"

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        if not isinstance(value, list) or len(value) < at_least:
            yield key, as_text(value), expected
            return
        for i, element in enumerate(value):
            if misfits_of_element := list(item.misfits(f"{key}[{i}]", element)):
                yield from misfits_of_element
            elif distinct and element in value[:i]:
                yield f"{key}[{i}]", f"{as_text(element)} a second time", "every value once"

    return Expectation(expected, misfits)


def mapping_of(item: Expectation, name: Expectation = TEXT, at_least: int = 0, expected: str = "") -> Expectation:
    """At least this many entries {name: value}, the names as `name` says, the values as `item` says."""
    expected = expected or f"{f'at least {at_least} of ' * (at_least > 0)}`{name.expected}: {item.expected}`"

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        if not isinstance(value, dict) or len(value) < at_least:
            yield key, as_text(value), expected
            return
        for entry_name, entry in value.items():
            yield from name.misfits(key, entry_name)
            yield from item.misfits(_below(key, entry_name), entry)

    return Expectation(expected, misfits)


def fields(
    required: Mapping[str, Expectation],
    optional: Mapping[str, Expectation] | None = None,
    others: bool = False,
    expected: str = "",
) -> Expectation:
    """A value under each `required` key, maybe under `optional` ones; under other keys only where `others` says so."""
    known = {**required, **(optional or {})}
    expected = expected or f"keys {', '.join(known)}"

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        if not isinstance(value, dict):
            yield key, as_text(value), expected
            return
        for name in value:
            if name not in known and not others:
                yield _below(key, name), "unknown key", f"some of: {', '.join(known)}"
        for name, expectation in known.items():
            if name in value:
                yield from expectation.misfits(_below(key, name), value[name])
            elif name in required:
                yield _below(key, name), "missing", expectation.expected

    return Expectation(expected, misfits)


def either(*expectations: Expectation, expected: str = "") -> Expectation:
    """A value that fits at least one of `expectations`."""
    return value_that(
        expected or " or ".join(expectation.expected for expectation in expectations),
        lambda value: any(fits(expectation, value) for expectation in expectations),
    )


def both(first: Expectation, second: Expectation) -> Expectation:
    """A value that fits `first`, and then also `second`, which is only asked where the first holds."""

    def misfits(key: str, value: object) -> Iterator[Misfit]:
        found = list(first.misfits(key, value))
        yield from found or second.misfits(key, value)

    return Expectation(first.expected, misfits)


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def as_text(value: object) -> str:
    """`value` as an error line shows it: as Python writes it, long ones cut."""
    return _SHORT.repr(value)


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxstring, _SHORT.maxother = 4, 8, 8, 120, 120
