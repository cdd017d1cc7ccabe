"""How numbers, sizes and comparisons are written, in sentences and tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from mt_dnn.reports.comparison import Comparison, mean, spread


def mean_std(values: Mapping[Any, float], decimals: int = 1) -> str:
    """{seed: value} in words: mean ± standard deviation."""
    return f"{mean(values):.{decimals}f}" + (f" ± {spread(values):.{decimals}f}" if len(values) > 1 else "")


def size_in_words(size: tuple[int, int]) -> str:
    """(28, 2) as "28 + 2"."""
    return f"{size[0]} + {size[1]}"


def in_words(names: Iterable[str]) -> str:
    """["a", "b", "c"] as "a, b and c"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def difference_in_words(comparison: Comparison | None) -> str:
    """A Comparison's difference in words, with its interval where there is one; "" for None or no shared seed."""
    if comparison is None or comparison.difference is None:
        return ""
    interval = f" [{comparison.low:+.1f}, {comparison.high:+.1f}]" if comparison.low is not None else ""
    return f"{round(comparison.difference, 1) + 0.0:+.1f}{interval}"  # + 0.0: no -0.0


def p_or_why(comparison: Comparison | None) -> str:
    """A Comparison's corrected p-value for a table, or why there is none; "" for None."""
    if comparison is None:
        return ""
    return p_value(comparison.p_holm) or f"no test: {comparison.why}"


def p_value(p: float | None) -> str:
    """A p-value in words; "" for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_in_words(comparison: Comparison) -> str:
    """A Comparison's corrected p-value for a sentence, or why there is none."""
    return f"p {p_value(comparison.p_holm)}" if comparison.p_holm is not None else p_or_why(comparison)


def comparison_in_words(comparison: Comparison) -> str:
    """A Comparison in words: difference, interval, corrected p-value and number of seeds."""
    seeds = f"{comparison.seeds} seeds" if comparison.p_holm is not None else ""
    return ", ".join(part for part in (difference_in_words(comparison), p_in_words(comparison), seeds) if part)
