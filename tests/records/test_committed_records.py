"""The records and pages of the experiments, as they are committed."""

import io

import pytest
from calls import ROOT, files_in
from fake_runs import MULTI_TASK, REPORT
from matplotlib.image import imread

EXPERIMENTS = ROOT / "experiments/phase_transition"
RECORDS = {"report": "runs", "report_criteria": "criteria_records", "report_sharing": "sharing_records"}
COMMITTED = [report for name in RECORDS for report in sorted(EXPERIMENTS.glob(f"*/{name}"))]


@pytest.mark.slow
@pytest.mark.parametrize("report", COMMITTED, ids=lambda path: str(path.relative_to(EXPERIMENTS)))
def test_committed_pages_are_made_anew_from_committed_records(report, tmp_path, cli):
    module = MULTI_TASK if report.name == "report_sharing" else REPORT
    ended = cli(module, report.with_name(RECORDS[report.name]), "--output_dir", tmp_path)
    assert ended.status == 0, ended.err
    committed, made = (
        {name: content for name, content in files_in(folder).items() if not name.endswith(".html")}  # not committed
        for folder in (report, tmp_path)
    )
    for name in [name for name in committed if name.endswith(".png")]:  # of equal pixels Pillow may make other bytes
        committed[name], made[name] = (imread(io.BytesIO(of[name])).tobytes() for of in (committed, made))
    assert committed == made


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXPERIMENTS.glob("*/README.md")))
def test_records_and_pages_of_an_experiment_stay_small(name):
    kept = [content for name, content in files_in(EXPERIMENTS / name).items() if not name.endswith(".html")]
    size = sum(map(len, kept))
    assert size < 5e6, f"{size / 1e6:.1f} MB, expected less than 5 MB"
