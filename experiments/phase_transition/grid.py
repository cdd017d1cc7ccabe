"""Print the table of the grid: the dense model's score on held-out training rows, by task, learning rate and epochs."""

from statistics import fmean

from data_utils.cli import run_main
from data_utils.errors import UserError
from data_utils.markdown import markdown_table
from mt_dnn.flags.parser import Parser
from mt_dnn.records.record import read_records


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument("runs", metavar="RUNS", help="folder of the grid's runs, or of their records")
    runs = parser.parse_args().runs

    scores: dict[str, dict[tuple[float, int], float]] = {}
    for record in read_records([runs]):
        setting = float(record.options["learning_rate"]), record.options["epochs"]
        by_task = [score for task in record.tasks if (score := record.held_out(task)) is not None]
        of_tasks = scores.setdefault(" + ".join(record.tasks), {})
        if record.kind != "dense" or not by_task or setting in of_tasks:
            raise UserError(
                f"{record.place}: {record.kind}, {len(by_task)} tasks with held-out rows, rate {setting[0]:g}, "
                f"{setting[1]} epochs; expected one dense run of each setting, with --holdout (HOLDOUT in the scripts)"
            )
        of_tasks[setting] = fmean(by_task)
    print(to_markdown(scores))


def to_markdown(scores: dict[str, dict[tuple[float, int], float]]) -> str:
    """Return a table with a row per task and a column per (epochs, rate); the best of a row is bold."""
    settings = sorted(
        {setting for own in scores.values() for setting in own}, key=lambda setting: (setting[1], setting[0])
    )
    rows = []
    for task, own in sorted(scores.items()):
        best = max(own.values())
        shown = [f"{own[setting]:.1f}" if setting in own else "" for setting in settings]
        bold = [f"**{text}**" if own.get(setting) == best else text for setting, text in zip(settings, shown)]
        rows.append([task, *bold])
    return markdown_table(["task", *(f"{epochs} epochs, {rate:g}" for rate, epochs in settings)], rows)


if __name__ == "__main__":
    run_main(main)
