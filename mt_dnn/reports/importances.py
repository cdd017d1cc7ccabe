"""Importance scores of the trainings: one set for each task, seed and criterion; and how much the criteria agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from data_utils.check import ANYTHING, TEXT, check, fields, list_of, number
from data_utils.errors import UserError
from data_utils.run_folder import DEFAULT_CRITERION

Importance = tuple[np.ndarray, np.ndarray]  # normalised scores of heads (layers, heads); scores of FFNs (layers,)

ROW = list_of(number(), at_least=1)
SCORES = fields(
    {
        "task": ANYTHING,
        "seed": ANYTHING,
        "heads": fields({"normalised": list_of(ROW, at_least=1)}, others=True),
        "ffns": fields({"raw": ROW}, others=True),
    },
    {"criterion": TEXT, "per": TEXT},
    others=True,
)


def by_criterion(scores: Mapping[str, tuple[str, dict]]) -> dict[str, dict[tuple[str, str], Importance]]:
    """Return {criterion: {(task, seed): Importance}} from what read_scores returns, the default criterion first.

    Raises UserError, naming the file, for scores that are not as write_importance writes them.
    """
    found: dict[str, dict[tuple[str, str], Importance]] = {}
    for place, content in scores.values():
        check(SCORES, content, place)
        heads, ffns = content["heads"]["normalised"], content["ffns"]["raw"]
        if len({len(row) for row in heads}) != 1 or len(heads) != len(ffns):
            raise UserError(f"{place}: heads.normalised: rows of several lengths, expected layers x heads")
        criterion = content.get("criterion", content.get("per", DEFAULT_CRITERION))
        key = str(content["task"]), str(content["seed"])
        found.setdefault(criterion, {}).setdefault(key, (np.array(heads, float), np.array(ffns, float)))
    names = sorted(found, key=lambda name: (name != DEFAULT_CRITERION, name))
    return {name: dict(sorted(found[name].items())) for name in names}


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of the scores of two criteria, `one` and `other`, on a `task`, by seed."""

    task: str
    one: str
    other: str
    heads: dict[str, float]
    ffns: dict[str, float]


def agreements(scores: Mapping[str, Mapping[tuple[str, str], Importance]]) -> list[Agreement]:
    """Return how two criteria agree, for each task and pair of them that have scores of one seed.

    Heads are compared as they are ranked, after normalisation within their layer.
    """
    found: dict[tuple[str, str, str], Agreement] = {}
    for one, other in combinations(scores, 2):
        for task, seed in sorted(scores[one].keys() & scores[other].keys()):
            agreement = found.setdefault((task, one, other), Agreement(task, one, other, {}, {}))
            pair = scores[one][task, seed], scores[other][task, seed]
            agreement.heads[seed], agreement.ffns[seed] = (_spearman(pair[0][at], pair[1][at]) for at in (0, 1))
    return [found[key] for key in sorted(found)]


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation of all entries; 0 where one side is constant, which ranks nothing."""
    if not (np.ptp(one) and np.ptp(other)):
        return 0.0
    return float(np.corrcoef(stats.rankdata(one), stats.rankdata(other))[0, 1])
