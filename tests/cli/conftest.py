import subprocess
from types import SimpleNamespace

import pytest
from calls import RECORDING_PYTHON, copy_of_scripts


@pytest.fixture
def repository(tmp_path):
    """call("train_mnli", "cpu", ENCODER="my bert") -> status, err, and the calls, a list of arguments each.

    The variables are set as a user sets them: at the script's top.
    """
    copy_of_scripts(tmp_path, RECORDING_PYTHON)
    merged = tmp_path / "checkpoints/bert-base-uncased/mtdnn"
    mask = merged / "masks/winning/super_tickets.json"
    mask.parent.mkdir(parents=True)
    mask.touch()
    (merged / "winning/super_tickets/seed_2018/model").mkdir(parents=True)

    def call(name, *arguments, **variables):
        script = tmp_path / f"scripts/{name}.sh"
        lines = script.read_text().splitlines()
        kept = [line for line in lines if not line.startswith(tuple(f"{variable}=" for variable in variables))]
        at = next(i for i, line in enumerate(kept) if line.startswith('. "$(dirname "$0")'))
        kept[at:at] = [f'{variable}="{value}"' for variable, value in variables.items()]
        script.write_text("\n".join(kept) + "\n")
        ended = subprocess.run(["sh", script, *arguments], cwd=tmp_path, capture_output=True, text=True)
        written = tmp_path / "calls.txt"
        text = written.read_text() if written.exists() else ""
        calls = [part.splitlines() for part in text.split("----\n")[:-1]]
        return SimpleNamespace(status=ended.returncode, err=ended.stderr, calls=calls)

    return call
