"""Print the table of domain adaptation: how each start does on a task, by the part of its training rows."""

from collections.abc import Iterable, Mapping

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.markdown import markdown_table
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import Record, add_run, compared, read_records, refuse_difference, refuse_unlike
from mt_dnn.reports.rows import OF_AN_ENCODER
from mt_dnn.reports.wording import mean_std

OF_A_CELL = OF_AN_ENCODER | {"train_fraction"}  # differ between starts and columns, but not in a cell


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("runs", metavar="RUNS", help="folder of the runs, of one or several starts")
    print(to_markdown(read_records([parser.parse_args().runs])))


def to_markdown(records: Iterable[Record]) -> str:
    """Return a table with a row per task and folder of runs, and a column per part of the training rows.

    The start is named by its encoder and what that was trained on. A cell is the mean score on dev ± its standard
    deviation over seeds, in points.

    Raises UserError if runs of a task differ in more than start, part of the rows and seed; runs of a cell in their
    encoder or data; or two runs of one seed in their tickets or scores.
    """
    records = list(records)
    for tasks in dict.fromkeys(tuple(record.tasks) for record in records):
        refuse_unlike([each for each in records if tuple(each.tasks) == tasks], compared(records) - OF_A_CELL)
    cells: dict[tuple[str, str, str], dict[float, dict[int, Record]]] = {}
    for record in records:
        task = ", ".join(record.tasks)
        row = task, record.name.partition(f"/{task}/")[0], record.result["model"]["name"]
        cell = cells.setdefault(row, {}).setdefault(record.fraction_of(record.tasks[0]), {})
        refuse_difference(next(iter(cell.values()), record), record, OF_A_CELL)
        repeats: list[Record] = []
        add_run(cell, repeats, record)
        if repeats:
            raise UserError(
                f"{cell[record.seed].place} and {record.place}: other scores for one seed, expected one run of a seed; "
                "report them separately"
            )
    fractions = sorted({fraction for by_fraction in cells.values() for fraction in by_fraction})
    rows = [[*row, *(_score(cells[row].get(fraction, {})) for fraction in fractions)] for row in sorted(cells)]
    columns = ["task", "folder", "start", *(f"{100 * fraction:g} % of the rows" for fraction in fractions)]
    return markdown_table(columns, rows)


def _score(runs: Mapping[int, Record]) -> str:
    return mean_std({seed: run.score for seed, run in runs.items()}) if runs else ""


if __name__ == "__main__":
    run_main(main)
