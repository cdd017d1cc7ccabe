"""YAML for people: every YAML file is read here."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from data_utils.errors import UserError
from data_utils.json_file import TOO_DEEP, Unusable, bounded_integer, read_text, refuse_unusable


def read_yaml(path: str | Path, expected: str) -> dict[str, Any]:
    """Return the entries of a YAML file, {name: entry}. `expected`: what an entry looks like, for the error line.

    Raises UserError, naming file and line, if the file is not YAML or has no entries, and where read_json does.
    """
    text = read_text(path, f"entries {expected} as YAML")
    try:
        entries = yaml.load(text, Loader=_StrictLoader)  # a SafeLoader: it builds plain values only
        refuse_unusable(entries)
    except Unusable as error:
        raise UserError(error.line(path)) from None
    except RecursionError:
        raise UserError(Unusable(*TOO_DEEP).line(path)) from None
    except (yaml.YAMLError, ValueError, TypeError) as error:  # the last two for dates and tags that make no sense
        mark, at = getattr(error, "problem_mark", None), getattr(error, "position", None)
        line = mark.line if mark else None if at is None else text.count("\n", 0, at)
        where = str(path) if line is None else f"{path}:{line + 1}"
        raise UserError(f"{where}: not readable as YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(entries, dict) or not entries:
        raise UserError(f"{path}: no entries, expected {expected}")
    return entries


class _StrictLoader(yaml.SafeLoader):
    """Refuses what PyYAML silently misreads.

    - The same name twice: PyYAML keeps the last entry. A task that was pasted twice should be noticed.
    - Names such as 1, null or yes: PyYAML makes them a number, None or True.
    - Numbers such as 010 or 1_0: PyYAML makes them 8 or 10, so a label would differ from the raw files.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag not in ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"):
                found = repr(key.value) if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                _complain(f"{found} as a name is no text, expected a name in letters, or in quotes", key)
            if key.value in seen:
                _complain(f"'{key.value}' stands here twice, expected every name once", key)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        digits = node.value.removeprefix("+")
        if digits.removeprefix("-").isdecimal():
            bounded_integer(digits)
        value = super().construct_yaml_int(node)
        if str(value) != digits:
            _complain(f"{node.value} stands for the number {value}, expected that number, or quotes around it", node)
        return value


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)


def _complain(problem: str, node: yaml.Node) -> None:
    raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
