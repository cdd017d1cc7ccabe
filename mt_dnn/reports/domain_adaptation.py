"""Print the table of domain adaptation: how each start does on a task, by the part of its training rows."""

from collections.abc import Iterable

from data_utils.cli import run_main
from data_utils.markdown import markdown_table
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import Record, read_records
from mt_dnn.reports.points import mean_std


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("runs", metavar="RUNS", help="folder of the runs, of one or several starts")
    print(to_markdown(read_records([parser.parse_args().runs])))


def to_markdown(records: Iterable[Record]) -> str:
    """Return a table with a row per task and start, and a column per part of the training rows.

    A start is named by its encoder and what that was trained on. A cell is the mean score on dev ± its standard
    deviation over seeds, in points.
    """
    scores: dict[tuple[str, str], dict[float, dict[int, float]]] = {}
    for record in records:
        by_fraction = scores.setdefault((", ".join(record.tasks), record.result["model"]["name"]), {})
        by_fraction.setdefault(record.train_fraction, {})[record.seed] = 100 * record.result["average_score"]
    fractions = sorted({fraction for by_fraction in scores.values() for fraction in by_fraction})
    rows = [
        [*of, *(mean_std(by_fraction[fraction]) if fraction in by_fraction else "" for fraction in fractions)]
        for of, by_fraction in sorted(scores.items())
    ]
    return markdown_table(["task", "start", *(f"{100 * fraction:g} % of the rows" for fraction in fractions)], rows)


if __name__ == "__main__":
    run_main(main)
