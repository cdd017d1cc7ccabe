"""The benchmark's tables: of one measurement, and of two on the same machine side by side."""

from typing import Any

Works = dict[tuple[str, str], dict[str, Any]]  # by work and precision


def to_markdown(found: dict[str, Any]) -> str:
    """Return the tables of a measurement (what benchmark.py writes as benchmark.json)."""
    lines = [_machine(found["machine"])]
    for name, part in found["compared"].items():
        rates = ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {of}" for of, rate in part["matrix_rate"].items())
        works = _by_work(part)
        precisions = list(dict.fromkeys(precision for _, precision in works))
        columns = [f"{precision}: tokens/s | of the limit | beside | peak GB" for precision in precisions]
        lines += ["", _title(name, part), f"Matrix products: {rates}.", "", f"| | {' | '.join(columns)} |"]
        lines.append("|" + "---|" * (1 + 4 * len(precisions)))
        for work in dict.fromkeys(work for work, _ in works):
            lines.append(f"| {work} | {' | '.join(_cells(works, work, precision) for precision in precisions)} |")
    return "\n".join(lines) + "\n"


def side_by_side(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Return a table of tokens per second and peak memory, before and after, of the works that both have."""
    lines = [_machine(after["machine"])]
    for name, part in after["compared"].items():
        if name not in before["compared"]:
            continue
        was, now = _by_work(before["compared"][name]), _by_work(part)
        lines += ["", _title(name, part), "", "| | precision | tokens/s before | after | | peak GB before | after |"]
        lines.append("|---|---|---|---|---|---|---|")
        for (work, precision), after_it in now.items():
            if (work, precision) in was:
                before_it = was[work, precision]
                speeds, peaks = ([fact(it) for it in (before_it, after_it)] for fact in (_speed, _peak))
                lines.append(
                    f"| {work} | {precision} | {speeds[0]:,.0f} | {speeds[1]:,.0f} | {speeds[1] / speeds[0]:.2f} x "
                    f"| {peaks[0]:.1f} | {peaks[1]:.1f} |"
                )
    return "\n".join(lines) + "\n"


def _machine(system: dict[str, Any]) -> str:
    features = ", ".join([*system["has"], *(f"no {name}" for name in system["lacks"])])
    versions = f"torch {system['torch']}, transformers {system['transformers']}"
    return f"{system['device']}{f' ({features})' if features else ''}; {versions}."


def _title(name: str, part: dict[str, Any]) -> str:
    shape, texts = name.split(":")
    return f"**{shape}, rows as long as {texts}'s**: one epoch of {part['rows']} rows; {part['dev_rows']} dev rows. "


def _by_work(part: dict[str, Any]) -> Works:
    return {(work["work"], work["precision"]): work for work in part["works"]}


def _speed(work: dict[str, Any]) -> float:
    return work["tokens"] / work["seconds"]


def _peak(work: dict[str, Any]) -> float:
    return work["peak_mb"] / 1000


def _cells(works: Works, work: str, precision: str) -> str:
    if (work, precision) not in works:
        return " |  |  | "
    measured = works[work, precision]
    of_limit = f"{100 * measured['limit_seconds'] / measured['seconds']:.0f} %" if "limit_seconds" in measured else ""
    other, name = f"{work.split(',')[0]}, Trainer", "Trainer"
    if work.startswith("rewinding"):
        other, name = "fine-tuning, adamax", "dense"
    beside = ""
    if other != work and (other, precision) in works:
        beside = f"{_speed(measured) / _speed(works[other, precision]):.2f} x {name}"
    return f"{_speed(measured):,.0f} | {of_limit} | {beside} | {_peak(measured):.1f}"
