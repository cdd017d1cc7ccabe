"""Where the scripts find the repository, a Python with the packages, and a GPU."""

import os
import shutil
import subprocess
import sys

import pytest
from calls import RECORDING_PYTHON, ROOT


def executable(path, text):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(text)
    path.chmod(0o755)


def test_a_cdpath_of_the_user_does_not_lead_to_another_repository(repository, tmp_path, monkeypatch):
    other = tmp_path / "elsewhere/scripts"
    other.mkdir(parents=True)
    (other.parent / "train.py").touch()
    monkeypatch.setenv("CDPATH", str(other.parent))
    script = ["sh", "scripts/train_mnli.sh", "cpu"]
    ended = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and (tmp_path / "calls.txt").exists()


def test_the_first_python_that_has_the_packages_is_taken(repository, tmp_path, monkeypatch):
    shutil.rmtree(tmp_path / ".venv")
    programs = tmp_path / "programs"
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    for name in ("python", "python3"):  # a Python 2, say
        executable(programs / name, "#!/bin/sh\nexit 1\n")
    ended = repository("train_mnli", "cpu")
    assert (ended.status, ended.calls) == (2, [])
    assert "no Python 3.11 or newer with the packages" in ended.err and ended.err.count("\n") == 1
    executable(programs / "python3", RECORDING_PYTHON)
    ended = repository("train_mnli", "cpu")
    assert (ended.status, ended.err) == (0, "") and ended.calls


@pytest.mark.parametrize(
    "variables, taken",
    [
        ({"VIRTUAL_ENV": "active"}, "active"),
        ({"CONDA_PREFIX": "active", "CONDA_DEFAULT_ENV": "bert"}, "active"),
        ({"CONDA_PREFIX": "active", "CONDA_DEFAULT_ENV": "base"}, ".venv"),
        ({"VIRTUAL_ENV": "without packages"}, ".venv"),
    ],
)
def test_the_active_environment_comes_before_that_of_the_repository(
    repository, tmp_path, monkeypatch, variables, taken
):
    for name in ("active", ".venv"):
        executable(tmp_path / name / "bin/python", f"#!/bin/sh\n[ $1 = -c ] || echo {name} >> taken.txt\n")
    executable(tmp_path / "without packages/bin/python", "#!/bin/sh\nexit 1\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value if name == "CONDA_DEFAULT_ENV" else str(tmp_path / value))
    assert repository("train_mnli", "cpu").status == 0
    assert (tmp_path / "taken.txt").read_text() == f"{taken}\n"


@pytest.mark.parametrize(
    "encoder, taken",
    [
        ("bert-base-uncased", "data/encoders/bert-base-uncased"),
        ("someone/bert-base-uncased", "someone/bert-base-uncased"),  # the hub's
        ("someone/my-bert", "data/encoders/someone/my-bert"),
        ("/disk/bert-base-uncased", "/disk/bert-base-uncased"),
        ("roberta-base", "roberta-base"),  # its download failed at the first file
    ],
)
def test_an_encoder_that_was_downloaded_is_taken_by_its_whole_name(repository, tmp_path, encoder, taken):
    for name in ("bert-base-uncased", "someone/my-bert"):
        (tmp_path / "data/encoders" / name).mkdir(parents=True)
        (tmp_path / "data/encoders" / name / "config.json").touch()
    (tmp_path / "data/encoders/roberta-base").mkdir()
    ended = repository("train_mnli", "cpu", ENCODER=encoder)
    assert ended.status == 0, ended.err
    (train,) = ended.calls
    assert train[train.index("--init_checkpoint") + 1] == taken


@pytest.mark.parametrize("left", ["dangling link", "no pip", "nothing"])
def test_an_environment_that_can_not_be_used_is_made_anew(repository, tmp_path, monkeypatch, left):
    python = tmp_path / ".venv/bin/python"
    python.unlink()
    (tmp_path / ".venv/pyvenv.cfg").touch()
    if left == "dangling link":
        python.symlink_to(tmp_path / "python3.11-that-was-removed")
    elif left == "no pip":  # of a Python that was upgraded
        executable(python, "#!/bin/sh\nexit 1\n")
    else:
        shutil.rmtree(tmp_path / ".venv")
    executable(
        tmp_path / "programs/python3",
        f"""#!{sys.executable}
import shutil, sys
if sys.argv[1:4] == ["-m", "venv", "--clear"]:
    shutil.rmtree(".venv", ignore_errors=True)
    shutil.copytree({str(tmp_path / "environment")!r}, ".venv")
""",
    )
    executable(tmp_path / "environment/bin/python", RECORDING_PYTHON)
    monkeypatch.setenv("PATH", f"{tmp_path / 'programs'}:/usr/bin:/bin")
    ended = repository("test")
    assert (ended.status, ended.err) == (0, "")
    install, tests = ended.calls
    assert install[-2:] == ["-r", "requirements.txt"] and tests[:2] == ["-m", "pytest"]


@pytest.mark.parametrize("what", ["a link", "a folder of something else", "a dangling link"])
def test_what_is_no_environment_of_this_repository_is_not_cleared(repository, tmp_path, what):
    (tmp_path / ".venv/bin/python").unlink()
    (tmp_path / ".venv/precious").touch()
    shared = tmp_path / ".venv"
    if what != "a folder of something else":
        shared = (tmp_path / ".venv").rename(tmp_path / "shared")
        (shared / "pyvenv.cfg").touch()
        (tmp_path / ".venv").symlink_to(shared if what == "a link" else "nowhere")
    ended = repository("test")
    assert ended.status == 2 and not ended.calls and len(ended.err.splitlines()) == 1
    assert "error: .venv is a link or no virtual environment" in ended.err and (shared / "precious").exists()


def test_an_environment_without_pip_that_another_tool_made_is_kept(repository, tmp_path):
    shutil.rmtree(tmp_path / ".venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    (tmp_path / ".venv/chosen by hand").touch()
    (tmp_path / "requirements.txt").write_text("")
    repository("test")
    assert (tmp_path / ".venv/chosen by hand").exists()
    assert (
        subprocess.run([tmp_path / ".venv/bin/python", "-m", "pip", "--version"], capture_output=True).returncode == 0
    )


@pytest.mark.parametrize(
    "gpuid",
    ["cpux", "cpu,0", "0,", ",0", "0,,1", "0 1", "", "x", "cpu,", "-1", "cpu\ncpu", "GPU-", "GPU-01x", "AMD-01"],
)
def test_a_gpuid_that_is_none_is_one_line(repository, gpuid):
    ended = repository("train_mnli", gpuid)
    assert ended.status == 2 and not ended.calls
    assert "error: GPUID" in ended.err and "expected a number as nvidia-smi shows it" in ended.err
    assert len(ended.err.splitlines()) == 1 + gpuid.count("\n")


def test_one_gpu_twice_is_refused(repository):
    ended = repository("rewind_mnli", "1,0,1")
    assert ended.status == 2 and not ended.calls
    assert "error: GPUID '1,0,1', expected each GPU once" in ended.err


@pytest.mark.parametrize("gpuid", ["MIG-01,MIG-02", "0,MIG-01"])
def test_several_mig_instances_are_refused(repository, gpuid):
    ended = repository("rewind_mnli", gpuid)
    assert ended.status == 2 and not ended.calls
    assert f"error: GPUID '{gpuid}', expected one MIG instance" in ended.err


@pytest.mark.parametrize(
    "gpuid, device, processes",
    [
        ("3", "cuda", 1),
        ("0,2", "cuda", 2),
        ("MIG-4a7b2c00-01de-5f60-8a9b-0c1d2e3f4a5b", "cuda", 1),
        ("GPU-4a7b2c00-01de,GPU-5f60-8a9b", "cuda", 2),
        ("cpu", "cpu", 1),
        ("cpu,cpu", "cpu", 2),
    ],
)
def test_a_gpuid_chooses_device_and_processes(repository, gpuid, device, processes):
    (call,) = repository("train_mnli", gpuid, TRAIN_FLAGS="").calls
    assert call[call.index("--device") + 1] == device
    assert ("--nproc-per-node" in call) == (processes > 1)
    if processes > 1:
        assert call[call.index("--nproc-per-node") + 1] == str(processes)


def test_scripts_are_posix():
    dash = shutil.which("dash")
    if not dash:
        pytest.skip("no dash")
    scripts = [path for path in [*ROOT.glob("scripts/*.sh"), *ROOT.glob("experiments/**/*.sh"), ROOT / "download.sh"]]
    for path in scripts:
        assert subprocess.run([dash, "-n", path], env=os.environ).returncode == 0, path
