"""What README.md and docs/ say is there: files, flags, functions, links; every command is taken by its own parser."""

import argparse
import ast
import importlib
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

import pages
import pytest
from pages import PAGES, ROOT

from data_utils.errors import UserError
from mt_dnn.flags.parser import Parser
from mt_dnn.tickets.masks import read_mask
from mt_dnn.tickets.super_tickets import read_super_tickets

page_by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)

COMMANDS = ["prepro.py", "train.py", "rewind.py", "construct_mtl_mask.py"]
MODULES = [
    "mt_dnn.export",
    "mt_dnn.predict",
    "mt_dnn.reports",
    "mt_dnn.reports.multi_task",
    "mt_dnn.reports.domain_adaptation",
    "mt_dnn.records.collect",
    "experiments.benchmark.benchmark",
    "experiments.benchmark.before_after",
    "experiments.benchmark.growth",
    "experiments.phase_transition.restore_masks",
    "experiments.phase_transition.single_models",
    "experiments.phase_transition.transfer_by_group",
]
OTHER_PROGRAMS = {"mkdir", "ln", "printf", "cat", "echo", "unzip", "git"}
GPUIDS = r"GPUID|cpu(,cpu)*|\d+(,\d+)*|\$CUDA_VISIBLE_DEVICES"
THE_PAPERS = """
pip install -r requirements.txt
sh download.sh
sh experiments/glue/prepro.sh
./scripts/train_mnli.sh GPUID
./scripts/rewind_mnli.sh GPUID
./scripts/prepare_mtdnn_base.sh GPUID
./scripts/rewind_mnli_winning.sh GPUID
./scripts/rewind_qnli_winning.sh GPUID
./scripts/rewind_qqp_winning.sh GPUID
./scripts/rewind_sst_winning.sh GPUID
./scripts/rewind_mrpc_winning.sh GPUID
./scripts/rewind_cola_winning.sh GPUID
./scripts/rewind_stsb_winning.sh GPUID
./scripts/rewind_rte_winning.sh GPUID
python construct_mtl_mask.py
./scripts/train_mtdnn.sh GPUID
"""


class Parsed(Exception):
    """Raised by a command of which only the flags are to be parsed."""


@pytest.fixture
def parse(monkeypatch):
    """Let a command parse its words and do no more: parse(script, *words); "..." stands for more flags.

    Returns the command's flags; raises UserError if it does not take the words.
    """
    flags = []

    def parse_args(parser):
        given = sys.argv[1:]
        flags.extend(option for action in parser._actions for option in action.option_strings)
        if "..." in given:
            given.remove("...")
            for action in parser._actions:
                action.required = False
        argparse.ArgumentParser.parse_args(parser, given)
        raise Parsed

    def call(script, *args):
        monkeypatch.setattr(Parser, "parse_args", parse_args)
        monkeypatch.setattr(sys, "argv", [script, *args])
        spec = importlib.util.spec_from_file_location("cli", ROOT / script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        flags.clear()
        with pytest.raises(Parsed):
            module.main()
        return set(flags)

    return call


def script_of(module):
    """Return the file that `python -m module` runs."""
    name = module.replace(".", "/")
    file = f"{name}/__main__.py" if (ROOT / name).is_dir() else f"{name}.py"
    assert (ROOT / file).is_file(), f"python -m {module}: no such module"
    return file


def check(command, parse):
    """Assert that a command's script is there and takes its words."""
    while re.match(r"[A-Z_]+=", command[0]):
        assert_variable(command[0])
        command = command[1:]
    program, *words = command[0].removeprefix(".venv/bin/"), *command[1:]
    if program == "python" and words[0] == "-m":
        parse(script_of(words[1]), *words[2:])
    elif program == "python":
        assert words[0] in COMMANDS
        parse(*words)
    elif program == "torchrun":
        from torch.distributed.run import get_args_parser

        told = get_args_parser().parse_args(words)
        check(["python", told.training_script, *told.training_script_args], parse)
    elif program == "sbatch":
        check(words[words.index("--wrap") + 1].split(), parse)
    elif program == "pip":
        assert words[0] in ("install", "download") and ("-r" not in words or (ROOT / words[-1]).is_file())
    elif program in ("sh", "bash") or program.startswith("./"):
        script, *args = [program, *words] if program.startswith("./") else words
        if script.removeprefix("./") in pages.added_files():
            return
        assert (ROOT / script).is_file(), f"{script}: no such file"
        assert os.access(ROOT / script, os.X_OK) or not program.startswith("./"), f"{script}: can't be executed"
        if script == "experiments/glue/prepro.sh":
            parse("prepro.py", *args)
        elif Path(script).name in ("download.sh", "fetch.sh", "test.sh", "quickstart.sh"):
            pass
        else:
            assert len(args) == 1 and re.fullmatch(GPUIDS, args[0]), f"{' '.join(command)}: expected a GPUID"
    else:
        assert program in OTHER_PROGRAMS, f"{program}: an unknown program"


def assert_variable(assignment):
    """Assert that some script has a variable of that name."""
    name = assignment.partition("=")[0]
    scripts = [*ROOT.glob("scripts/*.sh"), *ROOT.glob("experiments/*/*.sh"), ROOT / "download.sh"]
    assert any(re.search(rf"\b{name}\b", script.read_text()) for script in scripts), f"{name}: no script has it"


# ---- commands ----


@page_by_page
def test_every_command_is_taken_by_its_own_parser(page, parse):
    for command in pages.shell_commands(page):
        try:
            check(command, parse)
        except UserError as error:
            pytest.fail(f"{page.name}: {' '.join(command)}: {error}")


@page_by_page
def test_commands_inside_sentences_are_taken_too(page, parse):
    for code in pages.inline_code(page):
        if re.match(r"(\./scripts/|(sh|bash|python) \w|\w+\.py --)", code):
            words = code.split()
            words = ["python", *words, "..."] if words[0].endswith(".py") else words
            check([*words, "..."] if words[:2] == ["python", "-m"] and len(words) == 3 else words, parse)


def test_readme_has_every_command_of_the_papers_repository_in_its_order():
    ours = [" ".join(command) for command in pages.shell_commands(ROOT / "README.md")]
    at = -1
    for command in THE_PAPERS.split("\n")[1:-1]:
        assert command in ours[at + 1 :], f"{command} is missing, or not in the order of the paper's repository"
        at = ours.index(command, at + 1)


def test_readme_has_at_most_200_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


# ---- what pages name ----


@page_by_page
def test_links_lead_somewhere(page):
    for link in pages.links(page):
        if link.startswith("https://"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists() and target.is_relative_to(ROOT), f"{page.name}: {link}: no such file"
        assert not anchor or anchor in pages.anchors(target), f"{page.name}: {link}: no such heading"


def test_every_docs_page_is_linked_from_the_readme():
    linked = {link.partition("#")[0] for link in pages.links(ROOT / "README.md")}
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} <= linked


@page_by_page
def test_files_that_are_named_exist(page):
    sources = "".join(
        file.read_text()
        for place in (".", "data_utils", "mt_dnn", "scripts", "experiments")
        for file in _sources(place)
    )
    for code in " ".join(pages.inline_code(page)).split():
        if not re.fullmatch(r"[\w./<>*-]+", code) or "/" not in code and "." not in code:
            continue
        top = code.split("/")[0]
        if "/" in code and ((ROOT / top).is_dir() and top not in ("data", "checkpoints")):
            found = list(ROOT.glob(re.sub(r"<\w+>", "*", code).rstrip("/")))
            assert found, f"{page.name}: {code}: no such file"
        elif re.search(r"\.(py|sh)$", code):
            assert list(ROOT.glob(code)) or list(ROOT.glob(f"[!.]*/**/{code}")), f"{page.name}: {code}: no such file"
        elif re.fullmatch(r"[\w.-]+\.(json|jsonl|tsv|txt|yml|png|html|md|csv)", code):
            assert (ROOT / code).exists() or code in sources, f"{page.name}: {code}: nothing reads or writes it"


def _sources(place):
    return [
        file
        for pattern in ("*.py", "*.sh") + ("**/*.py", "**/*.sh") * (place != ".")
        for file in (ROOT / place).glob(pattern)
    ]


@page_by_page
def test_functions_that_are_named_are_in_their_files(page):
    for file, names in re.findall(r"`([\w/]+\.py)`:\s+(`\w+`(?:,\s+`\w+`)*)", pages.prose(page)):
        defined = set()
        for node in ast.parse((ROOT / file).read_text()).body:
            defined |= {node.name} if hasattr(node, "name") else set()
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            defined |= {target.id for target in targets if isinstance(target, ast.Name)}
        for name in re.findall(r"`(\w+)`", names):
            assert name in defined, f"{page.name}: {file} has no {name}"


@page_by_page
def test_flags_and_variables_that_are_named_exist(page, parse):
    from torch.distributed.run import get_args_parser

    known = {
        "--help",
        "--all",
        "--check",
        "--wrap",  # sbatch's
        "--dist",  # pytest-xdist's
        *(option for action in get_args_parser()._actions for option in action.option_strings),
    }
    for script in (*COMMANDS, *map(script_of, MODULES)):
        known |= parse(script, "...")
    for code in pages.inline_code(page):
        for flag in re.findall(r"(?<![\w-])--[a-z_-]+", code):
            assert flag in known, f"{page.name}: {code}: no command has {flag}"
        if re.match(r"[A-Z_]{3,}=", code):
            assert_variable(code)


@page_by_page
def test_examples_in_python_json_and_yaml_can_be_read(page, tmp_path):
    for number, fence in enumerate(pages.fences(page)):
        file = tmp_path / f"{number}.{fence.language}"
        file.write_text(fence.text)
        if fence.language == "json":
            assert ("heads" in json.loads(fence.text)) or read_mask(file).tickets  # of scores see test_run.py
        elif fence.language == "yaml":
            assert read_super_tickets([file])
        elif fence.language == "python":
            for node in ast.walk(ast.parse(fence.text)):
                if isinstance(node, ast.ImportFrom):
                    assert all(hasattr(importlib.import_module(node.module), name.name) for name in node.names)
        else:
            assert fence.language in ("", "bash", "sh", "diff"), f"{page.name}:{fence.line}: an unchecked language"
