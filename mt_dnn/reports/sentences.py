"""What the runs of a task say, in sentences: on the terminal and on the page."""

from collections import Counter
from collections.abc import Iterable, Iterator

from data_utils.advice import advice
from mt_dnn.records.record import Record
from mt_dnn.reports.baseline import Baseline, sampling_error
from mt_dnn.reports.choice import DEV, HELD_OUT, best, boundary, super_ticket, unlike_seeds
from mt_dnn.reports.comparison import ALIKE, mean
from mt_dnn.reports.hypotheses import Finding
from mt_dnn.reports.pairing import OverTasks
from mt_dnn.reports.points import Point, Transition
from mt_dnn.reports.rows import ModelRow
from mt_dnn.reports.wording import comparison_in_words, difference_in_words, mean_std, p_in_words


def sentences(transition: Transition) -> Iterator[str]:
    """Yield what the runs of one task say, a line each."""
    dense, winning = transition.dense, transition.of_kind("winning")
    if max(len(point.runs) for point in transition.points) == 1:
        yield "one seed, so nothing here is distinguishable from noise" + _error_of_one_accuracy(transition)
    yield (
        f"dense: {mean_std(dense.scores)}"
        if dense
        else "dense: no such run, so no differences to it; train.py --do_train makes one"
    )
    if transition.baseline:
        yield baseline_line(transition, transition.baseline)
    else:
        yield (
            "baseline: unknown, as no run has its dev predictions any more; super ticket and phase boundary may come "
            "from a dense model that has not learnt the task"
        )
    if winning:
        highest = best(winning)
        assert highest
        ticket = f"{highest.weights_in_words} ({highest.closed_in_words})"
        yield f"best winning ticket on dev: {mean_std(highest.scores)} with {ticket}"
        if dense and transition.has_learnt:
            yield boundary_line(transition)
        if transition.has_learnt:
            yield from super_ticket_lines(transition)
        if dense:
            yield from noise_lines(transition)


def unlike_lines(records: Iterable[Record]) -> Iterator[str]:
    """Yield a line for precision and code each, if not all runs have the same: differences can come from that."""
    records = list(records)
    for several, found in (
        ("in several precisions", [record.options.get("precision") for record in records]),
        ("by several versions of the code", [record.result.get("code") for record in records]),
    ):
        counts = Counter(value or "unknown" for value in found)
        if len(counts) > 1:
            each = ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
            yield f"Runs were computed {several} ({each}), so differences between runs can come from that."


def repeat_lines(shown: Iterable[Point | ModelRow]) -> Iterator[str]:
    """Yield a line if runs repeat a ticket and seed of another run with other scores: they are left out."""
    pairs = [(record, one.runs[record.seed]) for one in shown for record in one.repeats]
    if pairs:
        record, counted = pairs[0]
        yield (
            f"Runs that repeat a ticket and seed of another run with other scores, and are left out: {len(pairs)}, "
            f"such as {record.name} beside {counted.name}."
        )


def size_lines(transition: Transition) -> Iterator[str]:
    """Yield a line per size: what each kind of ticket scores."""
    tickets = [point for point in transition.own if point.kind != "dense"]
    for size in dict.fromkeys(point.size for point in sorted(tickets, key=lambda point: -point.remaining)):
        same = [point for point in tickets if point.size == size]
        yield f"at {same[0].weights_in_words}: " + ", ".join(f"{point.name} {mean_std(point.scores)}" for point in same)


def _error_of_one_accuracy(transition: Transition) -> str:
    for dev_set, metric in transition.metrics.values():
        if metric == "accuracy":
            accuracy, rows = mean(transition.points[0].values(dev_set, metric)) / 100, transition.dev_rows[dev_set]
            error = 100 * sampling_error("accuracy", accuracy, rows)
            return f"; the standard error of one accuracy on {rows} rows is {error:.1f} points"
    return ""


def about(transition: Transition) -> str:
    """What is measured, and on how many rows; how many rows the runs trained on, and how many they held out."""
    rows = [
        f"{count} {'dev' if len(transition.dev_rows) == 1 else name} rows"
        for name, count in transition.dev_rows.items()
    ]
    of_task = transition.points[0].any_run.result["tasks"][transition.task]
    for key, name in (("training_rows", "training rows"), ("held_out_rows", "held-out rows")):
        if of_task.get(key):
            rows.append(f"{of_task[key]} {name}")
    return f"{transition.score_in_words}; {', '.join(rows)}"


def baseline_line(transition: Transition, baseline: Baseline) -> str:
    """What the most frequent label, or the mean, gives, and whether the dense model is better."""
    values = ", ".join(f"{name} {baseline.values[key]:.1f}" for name, key in transition.metrics.items())
    line = f"baseline, the most frequent label or the mean for every row: {values}"
    if not transition.dense:
        return line
    if transition.has_learnt:
        return f"{line}; the dense model is better"
    errors = ", ".join(f"{name} {baseline.errors[key]:.1f}" for name, key in transition.metrics.items())
    return (
        f"{line}; the dense model is not better by more than the baseline's sampling error ({errors}), so there is no "
        "phase boundary and no super ticket: train it longer, on more rows, or at another learning rate"
    )


def boundary_line(transition: Transition) -> str:
    """Where the phase boundary is, or why there is none to see. Needs the dense model and winning tickets."""
    sparsest, below = boundary(transition)
    if not below:
        return (
            "no phase transition seen: no winning ticket tried is below the dense model; a boundary would be at a "
            "higher sparsity than any tried"
        )
    if not sparsest:
        return (
            "no phase transition seen: every winning ticket tried is below the dense model; a boundary would be at a "
            "lower sparsity than any tried"
        )
    lighter = sum(point.remaining > sparsest.remaining for point in below)
    more = f"; {lighter} less sparse ticket{' is' if lighter == 1 else 's are'} below dense" if lighter else ""
    if lighter == len(below):
        more += "; no sparser one was tried"
    return (
        f"phase boundary: {sparsest.weights_in_words} ({sparsest.closed_in_words}), "
        f"the sparsest winning ticket that is not below the dense model{more}"
    )


def super_ticket_lines(transition: Transition) -> Iterator[str]:
    """The super ticket by both protocols."""
    if unlike_seeds(transition):
        yield (
            "warning: the dense model and the winning tickets do not all have the same seeds, so their means are over "
            "different seeds"
        )
    chosen = super_ticket(transition, DEV)
    assert chosen
    yield (
        f"super ticket chosen on dev: {named(chosen)}; dev {mean_std(chosen.scores)}, "
        "biased upwards as the best of several"
    )
    if chosen := super_ticket(transition, HELD_OUT):
        yield f"super ticket chosen on {HELD_OUT.on}: {named(chosen)}; dev {mean_std(chosen.scores)}"
    else:
        yield (
            f"super ticket chosen on {HELD_OUT.on}: none, as no rows were held out; "
            f"make runs with {advice('--holdout 0.1')}"
        )


def noise_lines(transition: Transition) -> Iterator[str]:
    """The largest gain and the deepest fall of winning tickets, and which differences are more than noise."""
    compared = {
        point: transition.to_dense[point] for point in transition.of_kind("winning") if transition.to_dense[point].seeds
    }
    if not compared:
        yield (
            "largest gain and largest fall: winning tickets and the dense model have no seed in common; "
            f"rewind masks/dense with the same {advice('--seeds')}"
        )
    elif not any(comparison.p_holm is not None for comparison in compared.values()):
        why = "; ".join(dict.fromkeys(comparison.why for comparison in compared.values()))
        one_seed = any(comparison.seeds == 1 for comparison in compared.values())
        more = "; a second seed, of the tickets and of the dense model, gives one"
        more += ' (SEEDS="2018 2019" in the scripts)'
        yield f"largest gain and largest fall: no test ({why}){more if one_seed else ''}"
    else:
        for name, pick, sign, side in (("largest gain", max, 1, "above"), ("largest fall", min, -1, "below")):
            point = pick(compared, key=lambda point: compared[point].difference or 0)
            comparison = compared[point]
            found = f"{name}: {difference_in_words(comparison)} at {point.weights_in_words}"
            if sign * (comparison.difference or 0) <= ALIKE:
                yield f"{name}: none, no winning ticket is {side} the dense model"
            elif comparison.p_holm is None:
                yield f"{found}; no test, as {comparison.why}"
            else:
                verdict = f"{'' if comparison.distinguishable else 'not '}distinguishable from noise"
                yield f"{found}, {p_in_words(comparison)}: {verdict}"
        told = [
            f"{point.weights_in_words} {comparison_in_words(compared[point])}"
            for point in compared
            if compared[point].distinguishable
        ]
        yield f"winning tickets whose difference is distinguishable from noise: {'; '.join(told) or 'none'}"


def hypothesis_line(found: Finding) -> str:
    """What came out for a hypothesis, in one sentence."""
    claim = f"{found.claim.name}, {found.claim.words}"
    if not found.by_task:
        why = "; ".join(f"{task}: {why}" for task, why in found.left_out.items())
        return f"{claim}: not tested ({why})"
    tasks = f"mean of {len(found.by_task)} tasks " if len(found.by_task) > 1 else ""
    outcome = f"{tasks}{comparison_in_words(found.overall)}{held_out_in_words(found)}"
    return f"{claim}: {found.overall.verdict} ({outcome})"


def held_out_in_words(found: OverTasks) -> str:
    """The end of a sentence: the difference on held-out training rows, if there is one; its seeds, if others."""
    on_them = found.held_out
    if on_them is None or on_them.difference is None:
        return ""
    seeds = f", {on_them.seeds} of the seeds" if on_them.seeds != found.overall.seeds else ""
    return f"; on {HELD_OUT.on} {difference_in_words(on_them)}{seeds}"


def named(point: Point) -> str:
    """A super ticket in words."""
    return "the dense model" if point.kind == "dense" else f"{point.weights_in_words} ({point.closed_in_words})"
