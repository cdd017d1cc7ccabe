"""What the runs of a task say, in sentences: on the terminal and on the page."""

import math

from mt_dnn.reports.choice import DEV, HELD_OUT, best, boundary, candidates, super_ticket
from mt_dnn.reports.comparison import ALIKE
from mt_dnn.reports.points import mean, show


def findings(transition):
    """Yield the findings of one task, a line each."""
    dense, winning = transition.dense, transition.of_kind("winning")
    yield (
        f"dense: {show(dense.scores)}"
        if dense
        else "dense: no such run, so no differences to it; train.py --do_train makes one"
    )
    if winning:
        highest = best(winning)
        yield f"best winning ticket: {show(highest.scores)} with {highest.weights} ({highest.closed})"
        if dense:
            yield boundary_line(transition)
        yield from super_ticket_lines(transition)
        if dense:
            yield from noise_lines(transition)
    accuracies = [(dev_set, metric) for dev_set, metric in transition.metrics.values() if metric == "accuracy"]
    if max(len(point.runs) for point in transition.points) == 1 and accuracies:
        share, count = mean(transition.points[0].values(*accuracies[0])) / 100, transition.dev_rows[accuracies[0][0]]
        yield f"one seed; the sampling error of one accuracy on {count} rows is {100 * math.sqrt(share * (1 - share) / count):.1f} points"


def levels(transition):
    """Yield a line per sparsity: what each kind of ticket scores."""
    tickets = [point for point in transition.points if point.kind != "dense"]
    for heads, ffns in dict.fromkeys(
        (point.heads, point.ffns) for point in sorted(tickets, key=lambda point: -point.remaining)
    ):
        same = [point for point in tickets if (point.heads, point.ffns) == (heads, ffns)]
        yield f"at {same[0].weights}: " + ", ".join(f"{point.kind} {show(point.scores)}" for point in same)


def about(transition):
    """What is measured, and on how many rows."""
    return f"{transition.score}; " + ", ".join(
        f"{count} {'dev' if len(transition.dev_rows) == 1 else name} rows"
        for name, count in transition.dev_rows.items()
    )


def boundary_line(transition):
    """Where the phase boundary is, or which way the data shows none. Needs the dense model and winning tickets."""
    sparsest, below = boundary(transition)
    if not sparsest:
        return "no phase transition: every winning ticket tried is below the dense model, so a boundary would lie before the first of them; try lower sparsities"
    if not below:
        return "no phase transition: none of the winning tickets tried has fallen below the dense model; try higher sparsities"
    lighter = sum(point.remaining > sparsest.remaining for point in below)
    more = f"; below it {'is' if lighter == 1 else 'are'} {lighter} of the less sparse ones" if lighter else ""
    if lighter == len(below):
        more += ", no sparser one was tried"
    return f"phase boundary: {sparsest.weights} ({sparsest.closed}), the sparsest winning ticket that is not below the dense model{more}"


def super_ticket_lines(transition):
    """The super ticket by both protocols."""
    if len({frozenset(point.runs) for point in candidates(transition)}) > 1:
        yield "beware: the dense model and the winning tickets do not all have the same seeds, so their means are over different ones"
    chosen = super_ticket(transition, DEV)
    yield f"super ticket chosen on dev: {named(chosen)}; dev {show(chosen.scores)}, biased upwards as the best of several"
    if unbiased := super_ticket(transition, HELD_OUT):
        yield f"super ticket chosen on {HELD_OUT.on}: {named(unbiased)}; dev {show(unbiased.scores)}, unbiased"
    else:
        yield f"super ticket chosen on {HELD_OUT.on}: these runs hold none out; runs made with --holdout 0.1 give it"


def noise_lines(transition):
    """Whether the largest gain and the deepest fall of winning tickets are more than noise between seeds."""
    compared = {
        point: transition.to_dense[point] for point in transition.of_kind("winning") if transition.to_dense[point].seeds
    }
    if not compared:
        yield "gain and fall: winning tickets and the dense model have no seed in common; rewind masks/dense with the same --seeds"
    elif not any(comparison.corrected is not None for comparison in compared.values()):
        why = "; ".join(dict.fromkeys(comparison.why for comparison in compared.values()))
        yield f"gain and fall: not told from noise, as there is no test ({why}); more --seeds give one"
    else:
        for name, pick, sign in (("gain", max, 1), ("fall", min, -1)):
            point = pick(compared, key=lambda point: compared[point].difference)
            comparison = compared[point]
            if sign * comparison.difference > ALIKE:
                verdict = (
                    "distinguishable from noise" if comparison.distinguishable else "not distinguishable from noise"
                )
                yield f"{name}: {difference(comparison)} at {point.weights}, p {p_value(comparison.corrected) or f'none ({comparison.why})'}: {verdict}"
            else:
                yield f"{name}: none, no winning ticket is {'above' if sign > 0 else 'below'} the dense model"


def named(point):
    """A super ticket in words."""
    return "the dense model" if point.kind == "dense" else f"{point.weights} ({point.closed})"


def difference(comparison):
    """A Comparison's difference in words, with its interval where there is one; "" without a shared seed."""
    if comparison.difference is None:
        return ""
    return f"{comparison.difference:+.1f}" + (
        f" [{comparison.low:+.1f}, {comparison.high:+.1f}]" if comparison.low is not None else ""
    )


def p_value(p):
    """A p-value in words; "" for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
