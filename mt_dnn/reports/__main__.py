"""The phase transition of each task below some folders of runs: a page with figures, tables, and the super tickets.

Writes report.html (everything), report.md and report.csv (its tables), report.png (the figure), super_tickets.yml and, where
training rows were held out, super_tickets_held_out.yml.
"""

import csv
from pathlib import Path

from data_utils.door import open_door
from data_utils.files import write_whole
from mt_dnn.config import Parser


def main():
    parser = Parser(description=__doc__)
    parser.add_argument(
        "folders",
        metavar="DIR",
        nargs="+",
        help="folders of train.py and rewind.py, searched through for runs, masks and importance scores",
    )
    parser.add_argument("--output_dir", help="folder for what is written (default: the first DIR)")
    options = parser.parse_args()

    from mt_dnn.reports.choice import DEV, HELD_OUT, super_tickets_file
    from mt_dnn.reports.contents import CSV_COLUMNS, FIGURE, blocks, csv_lines
    from mt_dnn.reports.figures import phase_transitions
    from mt_dnn.reports.findings import about, findings, levels
    from mt_dnn.reports.page import to_html, to_markdown
    from mt_dnn.reports.points import failed_runs, gather

    transitions = gather(options.folders)
    failed = failed_runs(options.folders)
    page = blocks(transitions, failed, options.folders)
    output = Path(options.output_dir or options.folders[0])
    with write_whole(output / "report.csv") as file:
        table = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(line for transition in transitions for line in csv_lines(transition))
    with write_whole(output / "report.md") as file:
        file.write(to_markdown(page))
    with write_whole(output / "report.html") as file:
        file.write(to_html("Phase transition", page))
    with write_whole(output / FIGURE, "wb") as file:
        phase_transitions(transitions).savefig(file, format="png", dpi=140)
    for transition in transitions:
        print("\n  ".join([f"{transition.task} ({about(transition)})", *findings(transition), *levels(transition)]))
    if failed:
        print(f"runs that failed: {len(failed)}, the first in {failed[0][0]}: {failed[0][1]}")
    print(f"report: {output / 'report.html'}, report.md, report.csv\nfigure: {output / FIGURE}")
    for protocol in (DEV, HELD_OUT):
        if text := super_tickets_file(transitions, protocol):
            with write_whole(output / protocol.file) as file:
                file.write(text)
            print(f"super tickets: {output / protocol.file}{'' if protocol is DEV else ' (chosen on held-out rows)'}")
        else:
            (output / protocol.file).unlink(missing_ok=True)  # that of other runs


if __name__ == "__main__":
    open_door(main)
