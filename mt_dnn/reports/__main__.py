"""The phase transition of each task below some folders of runs: a page with figures, tables, and the super tickets.

Writes report.html (everything), report.md and report.csv (its tables), report.png (the figure), super_tickets.yml and,
where training rows were held out, super_tickets_held_out.yml.
"""

from data_utils.cli import run_main
from mt_dnn.flags.commands import ReportOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, ReportOptions)

    from mt_dnn.records.record import read_failures, read_importance_files, read_records
    from mt_dnn.reports.choice import DEV, HELD_OUT, is_super_tickets_file, super_tickets_files
    from mt_dnn.reports.compare_criteria import criteria_findings
    from mt_dnn.reports.contents import FIGURE, blocks
    from mt_dnn.reports.figures import as_png, phase_transitions
    from mt_dnn.reports.gather import gather, of_one_task
    from mt_dnn.reports.hypotheses import CLAIMS, decide
    from mt_dnn.reports.page import to_html, to_markdown, write_files
    from mt_dnn.reports.sentences import about, hypothesis_line, sentences, size_lines
    from mt_dnn.reports.table_csv import to_csv
    from mt_dnn.reports.transfer import transfer_findings

    records = read_records(options.folders)
    single = of_one_task(records)
    transitions, failed = gather(single), read_failures(options.folders)
    tested = decide(CLAIMS, transitions)
    page = blocks(transitions, tested, read_importance_files(options.folders), failed)
    super_tickets = {protocol: super_tickets_files(transitions, protocol) for protocol in (DEV, HELD_OUT)}
    written: dict[str, str | bytes] = {
        "report.csv": to_csv(transitions),
        "report.md": to_markdown(page),
        "report.html": to_html("Phase transition", page),
        FIGURE: as_png(phase_transitions(transitions)),
        **super_tickets[DEV],
        **super_tickets[HELD_OUT],
    }
    write_files(options.output, written)
    for path in options.output.glob("super_tickets*.yml"):
        if is_super_tickets_file(path.name) and path.name not in written:
            path.unlink(missing_ok=True)  # that of other runs

    for transition in transitions:
        print(
            "\n  ".join([f"{transition.title} ({about(transition)})", *sentences(transition), *size_lines(transition)])
        )
    for found in [*tested, *criteria_findings(transitions), *transfer_findings(transitions)]:
        print(hypothesis_line(found))
    if more := len(records) - len(single):
        print(f"{more} runs of several tasks are left out; python -m mt_dnn.reports.multi_task shows them")
    if failed:
        print(f"runs that failed: {len(failed)}, the first in {failed[0].place}: {failed[0].why}")
    print(f"report: {options.output / 'report.html'}, report.md, report.csv\nfigure: {options.output / FIGURE}")
    for protocol, files in super_tickets.items():
        for name in files:
            print(f"super tickets: {options.output / name}{'' if protocol is DEV else ' (chosen on held-out rows)'}")


if __name__ == "__main__":
    run_main(main)
