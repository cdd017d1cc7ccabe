"""A package imports only from those below it, and no two files import each other, however far around."""

import ast
from pathlib import Path

import pytest
from calls import ROOT

# From bottom to top. What is not named here (train.py, prepro.py, experiments/, ...) is above all of them.
PACKAGES = [
    "data_utils",
    "mt_dnn.run_folder",
    "mt_dnn.flags",
    "mt_dnn.run_config",
    "mt_dnn.runtime",
    "mt_dnn.loss",
    "mt_dnn.checksums",
    "mt_dnn.saved_tasks",
    "mt_dnn.encoders",
    "mt_dnn.tickets",
    "mt_dnn.model",
    "mt_dnn.model_files",
    "mt_dnn.training",
    "mt_dnn.records",
    "mt_dnn.reports",
    "mt_dnn.runs",
    "mt_dnn.export",
]


def modules(root):
    """Return {module name: its file} for the Python files of the repository at `root`, tests aside."""
    files = [
        *root.glob("*.py"),
        *(path for name in ("data_utils", "mt_dnn", "experiments") for path in root.glob(f"{name}/**/*.py")),
    ]
    named = {path.relative_to(root).with_suffix("").parts: path for path in files}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for parts, path in named.items()}


def imports(root):
    """Return {module: the modules of the repository that it imports}, imports within functions included."""
    files, found = modules(root), {}
    for name, path in files.items():
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                wanted |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[name] = {module for module in wanted if module in files and module != name}
    return found


def height(module):
    """The place of a module's package, from 0 at the bottom."""
    return next((i for i, name in enumerate(PACKAGES) if f"{module}.".startswith(f"{name}.")), len(PACKAGES))


def imports_upward(graph):
    """Return a line for every import that points up."""
    pairs = [(module, other) for module, others in graph.items() for other in sorted(others)]
    return [
        f"{module} imports {other}, which stands above it" for module, other in pairs if height(other) > height(module)
    ]


def circles(graph):
    """Return a line for every circle of imports, or [] if there is none."""
    found, done = [], set()

    def visit(module, path):
        if module in path:
            found.append(" imports ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for other in sorted(graph[module]):
                visit(other, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return found


def test_every_import_points_down():
    assert imports_upward(imports(ROOT)) == []


def test_no_files_import_each_other():
    assert circles(imports(ROOT)) == []


def test_every_package_exists():
    assert {height(module) for module in modules(ROOT)} == set(range(len(PACKAGES) + 1))


@pytest.mark.parametrize(
    "files, line",
    [
        (
            {"data_utils/tsv": "import mt_dnn.loss", "mt_dnn/loss": ""},
            "data_utils.tsv imports mt_dnn.loss, which stands above it",
        ),
        (
            {"mt_dnn/model": "def f():\n    from train import main", "train": ""},
            "mt_dnn.model imports train, which stands above it",
        ),
        (
            {"mt_dnn/runs/a": "from mt_dnn.runs import b", "mt_dnn/runs/b": "from mt_dnn.runs.a import x"},
            "mt_dnn.runs.a imports mt_dnn.runs.b imports mt_dnn.runs.a",
        ),
        ({"mt_dnn/runs/a": "from mt_dnn.model import x", "mt_dnn/model": "import mt_dnn"}, None),
    ],
)
def test_an_import_upward_and_a_circle_are_told_with_their_names(tmp_path: Path, files, line):
    for name, text in files.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    graph = imports(tmp_path)
    assert imports_upward(graph) + circles(graph) == ([line] if line else [])
