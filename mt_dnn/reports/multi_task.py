"""The multi-task benchmark: a row of dev metrics for every encoder and mask, over all finished runs below some folders."""

from pathlib import Path

from data_utils.door import open_door
from data_utils.errors import UserError
from data_utils.files import write_whole
from mt_dnn.config import Parser
from mt_dnn.reports.results import MAY_DIFFER, read_results, refuse_difference
from mt_dnn.reports.score_table import score_table

ROWS = {
    "dense": "MT-DNN",
    "winning": "Tickets-Share",
    "random": "Tickets-Share, random",
    "losing": "Tickets-Share, losing",
}
OF_A_ROW = {"tickets", "encoder", "model", "data"}  # the same in all runs of a row


def main():
    parser = Parser(description=__doc__)
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        help="folders of train.py and rewind.py with several tasks, searched through for result.json",
    )
    parser.add_argument("--output_dir", help="folder for report.md (default: the first DIR)")
    options = parser.parse_args()

    table = score_table(gather(options.folders))
    output = Path(options.output_dir or options.folders[0]) / "report.md"
    with write_whole(output) as file:
        file.write(f"# Multi-task benchmark\n\n{table}\n")
    print(f"{table}\ntable: {output}")


def gather(folders):
    """Return {row name: [result of each seed]} for the multi-task runs below `folders`; the same run found twice counts once.

    Raises UserError where runs of the table differ in more than encoder, tickets and seed, or runs of a row in more than the seed.
    """
    rows, first = {}, None
    for folder, result, options in read_results(folders):
        if len(result["tasks"]) == 1:
            raise UserError(
                f"{folder}: a run of one task, expected runs of several; python -m mt_dnn.reports shows this one"
            )
        first = first or (folder, options)
        refuse_difference(*first, folder, options, options.keys() - MAY_DIFFER - OF_A_ROW)
        mask = folder.parent.name if result["kind"] != "dense" else ""
        row = rows.setdefault((result["model"]["name"], list(ROWS).index(result["kind"]), mask), {})
        for other, others, _ in row.values():
            refuse_difference(other, others, folder, options, OF_A_ROW)
        row.setdefault(result["seed"], (folder, options, result))

    def name(encoder, kind, mask):
        return f"{ROWS[list(ROWS)[kind]]}{f' ({mask})' if mask not in ('', 'super_tickets') else ''}, {encoder}"

    return {name(*key): [result for _, _, result in row.values()] for key, row in sorted(rows.items())}


if __name__ == "__main__":
    open_door(main)
