"""Importance scores of the trainings: one set for each task, seed and criterion; and how much the criteria agree."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

from data_utils.check import check, fields, integer
from data_utils.metrics import compute, spearman
from mt_dnn.reports.points import section_title
from mt_dnn.run_folder import DEFAULT_CRITERION
from mt_dnn.tickets.scores import check_importance
from mt_dnn.tickets.ticket import Scores


def by_criterion(files: Mapping[str, tuple[str, dict]]) -> dict[str, dict[tuple[str, int], Scores]]:
    """Return {criterion: {(task, seed): Scores}} of read_importance_files(), the default criterion first.

    Where a task was scored on several parts of its rows, its name is followed by the part.

    Raises UserError, naming the file, for scores that are not as write_importance writes them.
    """
    found: dict[str, dict[tuple[str, int], Scores]] = {}
    checked = []
    for place, content in files.values():
        importance = check_importance(content, place)
        check(fields({"seed": integer(0)}, others=True), content, place)
        checked.append((content, importance, content.get("train_fraction", 1.0)))
    sections = {(content["task"], fraction) for content, _, fraction in checked}
    tasks = [task for task, _ in sections]
    for content, importance, fraction in checked:
        title = section_title(content["task"], fraction, several=tasks.count(content["task"]) > 1)
        found.setdefault(content["criterion"], {}).setdefault((title, content["seed"]), importance)
    names = sorted(found, key=lambda name: (name != DEFAULT_CRITERION, name))
    return {name: dict(sorted(found[name].items())) for name in names}


@dataclass(frozen=True)
class Agreement:
    """Spearman's rank correlation of the scores of two criteria, `one` and `other`, on a `task`, by seed."""

    task: str
    one: str
    other: str
    heads: dict[int, float]
    ffns: dict[int, float]


def agreements(importances: Mapping[str, Mapping[tuple[str, int], Scores]]) -> list[Agreement]:
    """Return how two criteria agree, for each task and pair of them that have scores of one seed.

    Heads are compared as they are ranked, after normalisation within their layer. Scores that are all equal rank
    nothing: their correlation is 0.
    """
    found: dict[tuple[str, str, str], Agreement] = {}
    for one, other in combinations(importances, 2):
        for task, seed in sorted(importances[one].keys() & importances[other].keys()):
            agreement = found.setdefault((task, one, other), Agreement(task, one, other, {}, {}))
            agreement.heads[seed], agreement.ffns[seed] = (
                compute({"rank": spearman}, one_scores.ravel(), other_scores.ravel())["rank"]
                for one_scores, other_scores in zip(importances[one][task, seed], importances[other][task, seed])
            )
    return [found[key] for key in sorted(found)]
