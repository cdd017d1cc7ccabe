"""The table of domain adaptation."""

from fake_runs import write_run

from mt_dnn.records.record import read_records
from mt_dnn.reports.domain_adaptation import to_markdown


def test_a_row_per_start_and_a_column_per_part_of_the_rows(tmp_path):
    for fraction, scores in ((0.1, (0.5, 0.7)), (1.0, (0.9,))):
        for seed, score in enumerate(scores):
            write_run(tmp_path / str(fraction), "dense", (0, 0), seed, score, task="snli", train_fraction=fraction)
    table = to_markdown(read_records([tmp_path])).splitlines()
    assert table[0] == "| task | start | 10 % of the rows | 100 % of the rows |"
    assert table[2:] == ["| snli | tiny | 60.0 ± 14.1 | 90.0 |"]
