"""Which criterion? The section of the page that compares criteria of importance, if the runs have several."""

from collections.abc import Iterator, Mapping, Sequence

from mt_dnn.reports.comparison import Comparison, compare, corrected
from mt_dnn.reports.decisions import comparison_columns, decisions
from mt_dnn.reports.hypotheses import Claim, Finding, decide
from mt_dnn.reports.importances import agreements
from mt_dnn.reports.page import Block, Columns, Heading, table_of
from mt_dnn.reports.pairing import at_same_sizes, over_sizes
from mt_dnn.reports.points import Point, Transition, criteria_of
from mt_dnn.reports.wording import mean_std, size_in_words
from mt_dnn.run_folder import DEFAULT_CRITERION
from mt_dnn.tickets.ticket import Scores


def criteria_section(
    transitions: Sequence[Transition], importances: Mapping[str, Mapping[tuple[str, int], Scores]]
) -> Iterator[Block]:
    """Yield the blocks of the section; none where runs and `importances`, see by_criterion, have one criterion only."""
    agreeing, tested = agreements(importances), criteria_findings(transitions)
    if not agreeing and not tested:
        return
    yield Heading("Which criterion?")
    if agreeing:
        yield table_of(
            AGREEMENTS,
            agreeing,
            "Spearman's rank correlation of the scores that two criteria give to the heads (as they are ranked, after "
            "normalisation within their layer) and to the FFNs: mean over seeds ± standard deviation.",
        )
    if tested:
        yield from decisions(tested)
        rows = [row for transition in transitions for row in _rows(transition, _others(transitions))]
        yield table_of(
            COMPARED,
            rows,
            f"Winning tickets of one size: those by a criterion minus those by `{DEFAULT_CRITERION}`. p is corrected "
            "for the criteria and sizes of a task.",
        )


def criteria_findings(transitions: Sequence[Transition]) -> list[Finding]:
    """Return what came out for every criterion beside the default one; [] where no tickets are by that one."""
    if DEFAULT_CRITERION not in criteria_of(transitions):
        return []
    return decide([_claim(criterion) for criterion in _others(transitions)], transitions)


def _others(transitions: Sequence[Transition]) -> list[str]:
    """The criteria that chose tickets, but for the default one."""
    return [criterion for criterion in criteria_of(transitions) if criterion != DEFAULT_CRITERION]


def _claim(criterion: str) -> Claim:
    words = f"its winning tickets are above those by `{DEFAULT_CRITERION}`"
    nothing = f"no tickets by {criterion} and {DEFAULT_CRITERION} that share size and seed"
    return Claim(
        f"criterion {criterion}",
        words,
        lambda transition: over_sizes(*_winning_of_both(transition, criterion), nothing),
    )


def _winning_of_both(transition: Transition, criterion: str) -> tuple[list[Point], list[Point]]:
    """The winning tickets by `criterion`, and those by the default one."""
    return transition.of_kind("winning", criterion), transition.of_kind("winning", DEFAULT_CRITERION)


def _rows(transition: Transition, criteria: Sequence[str]) -> list[tuple[Transition, Point, Comparison]]:
    """The winning tickets of a task by each of `criteria`, compared with those by the default."""
    pairs = [pair for name in criteria for pair in at_same_sizes(*_winning_of_both(transition, name)).values()]
    compared = corrected({one: compare(one.scores, other.scores) for one, other in pairs})
    return [(transition, point, comparison) for point, comparison in compared.items()]


AGREEMENTS: Columns = {
    "task": lambda agreement: agreement.task,
    "criteria": lambda agreement: f"{agreement.one} and {agreement.other}",
    "heads": lambda agreement: mean_std(agreement.heads, 2),
    "FFNs": lambda agreement: mean_std(agreement.ffns, 2),
    "seeds": lambda agreement: len(agreement.heads),
}

COMPARED: Columns = {
    "task": lambda row: row[0].title,
    "ticket": lambda row: row[1].name,
    "heads + FFNs closed": lambda row: size_in_words(row[1].size),
    "score": lambda row: mean_std(row[1].scores),
    **comparison_columns(lambda row: row[2]),
}
