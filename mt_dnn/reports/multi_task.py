"""The multi-task benchmark: a row of dev metrics for every encoder and mask, over all finished runs below some folders.

Writes multi_task.html (everything) and multi_task.md (its tables).
"""

from data_utils.cli import run_main
from data_utils.errors import UserError
from mt_dnn.flags.commands import ReportOptions
from mt_dnn.flags.parser import parse_options


def main() -> None:
    (options,) = parse_options(__doc__, ReportOptions)

    from mt_dnn.records.record import read_failures, read_records
    from mt_dnn.reports.multi_task_contents import benchmark_table, blocks, compare_rows, sentences
    from mt_dnn.reports.page import to_html, to_markdown, write_files
    from mt_dnn.reports.rows import gather_rows

    records = read_records(options.folders)
    several = [record for record in records if len(record.tasks) > 1]
    if not several:
        raise UserError(
            f"{records[0].place}: a run of one task, expected runs of several; python -m mt_dnn.reports shows this one"
        )
    rows = gather_rows(several)
    compared = compare_rows(rows)
    page = blocks(rows, compared, read_failures(options.folders))
    write_files(
        options.output, {"multi_task.md": to_markdown(page), "multi_task.html": to_html("Multi-task benchmark", page)}
    )
    print("\n".join([benchmark_table(rows).markdown(), "", *sentences(compared)]))
    if more := len(records) - len(several):
        print(f"{more} runs of one task are left out; python -m mt_dnn.reports shows them")
    print(f"report: {options.output / 'multi_task.html'}, multi_task.md")


if __name__ == "__main__":
    run_main(main)
