"""The benchmark's tables: of one measurement, and of two on the same machine side by side."""

from typing import Any

from data_utils.markdown import markdown_table

Works = dict[tuple[str, str], dict[str, Any]]  # by work and precision


def to_markdown(found: dict[str, Any]) -> str:
    """Return the tables of a measurement (what benchmark.py writes as benchmark.json)."""
    parts = [_machine(found["machine"])]
    for name, part in found["compared"].items():
        rates = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {of}" for of, rate in part["matrix_rate"].items())
        works = _by_work(part)
        precisions = list(dict.fromkeys(precision for _, precision in works))
        columns = [f"{precision}: tokens/s" for precision in precisions]
        columns = [column for first in columns for column in (first, "of the limit", "compared with", "peak GB")]
        rows = [
            [work, *(cell for precision in precisions for cell in _cells(works, work, precision))]
            for work in dict.fromkeys(work for work, _ in works)
        ]
        parts += [f"{_title(name, part)} Matrix products: {rates}.", markdown_table(["", *columns], rows)]
    return "\n\n".join(parts) + "\n"


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return a table of tokens per second and peak memory, before and after, of the works that both have."""
    parts = [_machine(after["machine"])]
    columns = ["", "precision", "tokens/s before", "after", "", "peak GB before", "after"]
    for name, part in after["compared"].items():
        if name in before["compared"]:
            was, now = _by_work(before["compared"][name]), _by_work(part)
            rows = [[*work, *_both(was[work], measured)] for work, measured in now.items() if work in was]
            parts += [_title(name, part), markdown_table(columns, rows)]
    return "\n\n".join(parts) + "\n"


def _machine(system: dict[str, Any]) -> str:
    features = ", ".join([*system["has"], *(f"no {name}" for name in system["lacks"])])
    versions = f"torch {system['torch']}, transformers {system['transformers']}"
    return f"{system['device']}{f' ({features})' if features else ''}; {versions}."


def _title(name: str, part: dict[str, Any]) -> str:
    shape, texts = name.split(":")
    return f"**{shape}, rows as long as {texts}'s**: one epoch of {part['rows']} rows; {part['dev_rows']} dev rows."


def _by_work(part: dict[str, Any]) -> Works:
    return {(work["work"], work["precision"]): work for work in part["works"]}


def _speed(work: dict[str, Any]) -> float:
    return work["tokens"] / work["seconds"]


def _peak(work: dict[str, Any]) -> str:
    return f"{work['peak_mb'] / 1000:.1f}"


def _both(was: dict[str, Any], now: dict[str, Any]) -> list[str]:
    times = f"{_speed(now) / _speed(was):.2f} x"
    return [f"{_speed(was):,.0f}", f"{_speed(now):,.0f}", times, _peak(was), _peak(now)]


def _cells(works: Works, work: str, precision: str) -> list[str]:
    if (work, precision) not in works:
        return [""] * 4
    measured = works[work, precision]
    of_limit = f"{100 * measured['limit_seconds'] / measured['seconds']:.0f} %" if "limit_seconds" in measured else ""
    other, name = f"{work.split(',')[0]}, Trainer", "Trainer"
    if work.startswith("rewinding"):
        other, name = "fine-tuning, adamax", "dense"
    beside = ""
    if other != work and (other, precision) in works:
        beside = f"{_speed(measured) / _speed(works[other, precision]):.2f} x {name}"
    return [f"{_speed(measured):,.0f}", of_limit, beside, _peak(measured)]
