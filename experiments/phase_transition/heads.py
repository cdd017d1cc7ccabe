"""Print how important some heads are to each task of a sweep, and how many of them its tickets close."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.markdown import markdown_table
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import Record, read_importance_files, read_records
from mt_dnn.reports.importances import by_criterion
from mt_dnn.reports.points import Size
from mt_dnn.reports.wording import size_in_words
from mt_dnn.run_folder import DEFAULT_CRITERION, unless_default
from mt_dnn.tickets.ticket import Scores

Head = tuple[int, int]  # (layer, head), from 0


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("records", metavar="RECORDS", help="folder of the runs of a sweep, or of their records")
    parser.add_argument(
        "heads", metavar="HEAD", nargs="+", help="layer and head, as in masks from 0: 2.9 is head 9 of layer 2"
    )
    options = parser.parse_args()

    importances = by_criterion(read_importance_files([options.records])).get(DEFAULT_CRITERION)
    if not importances:
        raise UserError(f"{options.records}: no importance scores by `{DEFAULT_CRITERION}`, expected those of a sweep")
    heads = [head_from(text, next(iter(importances.values()))[0].shape) for text in options.heads]
    names = [f"{layer}.{head}" for layer, head in heads]
    ranked = [[task, *cells] for task, cells in ranks(importances, heads).items()]
    print("Rank of each head among all, from the lowest to the highest over seeds; 1 is the most important:\n")
    print(markdown_table(["task", *names], ranked))
    closed = closed_by_tickets(read_records([options.records]), heads)
    sizes = sorted({size for by_size in closed.values() for size in by_size})
    rows = [[*ticket, *(in_range(by_size.get(size, [])) for size in sizes)] for ticket, by_size in closed.items()]
    print("\nHow many of these heads tickets close, by the heads + FFNs that they close in all:\n")
    print(markdown_table(["task", "ticket", *map(size_in_words, sizes)], rows))


def head_from(text: str, shape: tuple[int, ...]) -> Head:
    """Return (layer, head) from "2.9"; raise UserError if an encoder of (layers, heads) has no such head."""
    layer, _, head = text.partition(".")
    if not (layer.isdecimal() and head.isdecimal() and int(layer) < shape[0] and int(head) < shape[1]):
        raise UserError(
            f"HEAD {text!r}, expected LAYER.HEAD from 0.0 to {shape[0] - 1}.{shape[1] - 1}, as 1.2 is head 2 of layer 1"
        )
    return int(layer), int(head)


def ranks(importances: Mapping[tuple[str, int], Scores], heads: Sequence[Head]) -> dict[str, list[str]]:
    """Return {task: the rank of each head among all heads, over seeds}; 1 is the most important.

    Heads are compared after normalisation within their layer, as tickets are chosen.
    """
    found: dict[str, list[list[int]]] = {}
    for (task, _), (head_scores, _) in importances.items():
        by_seed = [1 + int(np.sum(head_scores > head_scores[head])) for head in heads]
        found.setdefault(task, []).append(by_seed)
    return {task: [in_range(of_head) for of_head in zip(*by_seed)] for task, by_seed in found.items()}


def closed_by_tickets(records: Iterable[Record], heads: Sequence[Head]) -> dict[tuple[str, str], dict[Size, list[int]]]:
    """Return {(task, kind): {(heads, FFNs closed): how many of `heads` a ticket closes, by seed}}.

    These are the task's own tickets, random ones and those by the default criterion.
    """
    found: dict[tuple[str, str], dict[Size, list[int]]] = {}
    for record in records:
        for task in record.tasks:
            by_default = not unless_default(record.criterion(task))
            if record.kind != "dense" and record.owner(task) == task and by_default:
                ticket = record.ticket(task)
                by_size = found.setdefault((task, record.kind), {})
                by_size.setdefault(ticket.counts, []).append(len(ticket.heads.intersection(heads)))
    return dict(sorted(found.items()))


def in_range(numbers: Iterable[int]) -> str:
    """[3, 1, 2] as "1-3"."""
    found = sorted(set(numbers))
    return f"{found[0]}-{found[-1]}" if len(found) > 1 else "".join(map(str, found))


if __name__ == "__main__":
    run_main(main)
