"""From the command line to the options: one dataclass per group of flags."""

import argparse
import re
import sys
from dataclasses import MISSING, fields
from typing import Any, NoReturn

from data_utils.advice import advice, variable
from data_utils.cli import command_name
from data_utils.errors import UserError
from data_utils.json_file import is_utf8
from mt_dnn.flags.commands import MaskOptions, PreproOptions, RewindOptions, TrainOptions

# Groups of flags that one command alone has.
ALONE = {"train.py": (TrainOptions, MaskOptions), "rewind.py": (RewindOptions,), "prepro.py": (PreproOptions,)}


def parse_options(description: str | None, *groups: type) -> list[Any]:
    """Parse the command line; return one object per dataclass in `groups`, in their order.

    Nothing heavy is imported before this, so that --help answers at once.

    Raises UserError for a flag or a value that is wrong.
    """
    parser = Parser(description)
    for group in groups:
        section = parser.add_argument_group((group.__doc__ or "").split("\n")[0].rstrip("."))
        for field in fields(group):
            more = dict(field.metadata)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if field.type is bool:
                more["action"] = "store_true"
            elif default is not None:
                more["help"] += f" (default: {' '.join(map(str, default)) if isinstance(default, list) else default})"
            name = more.pop("name", field.name)
            if more.pop("positional", False):
                section.add_argument(field.name, metavar=name.upper(), **more)
            else:
                section.add_argument(f"--{name}", dest=field.name, default=default, **more)
    for argument in sys.argv[1:]:
        if not is_utf8(argument):
            raise UserError(f"{argument!r}: not UTF-8, expected names that can be written into JSON and reports")
    given = vars(parser.parse_args())
    return [group(**{field.name: given[field.name] for field in fields(group)}) for group in groups]


class Parser(argparse.ArgumentParser):
    """argparse, whose complaint is one line."""

    def __init__(self, description: str | None) -> None:
        super().__init__(prog=command_name(), description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raise UserError; where another command has the flag, name that command."""
        hint = "--help lists the flags"
        if self.prog in ("train.py", "rewind.py") and (found := re.match(r"argument (--\w+): ", message)):
            hint = f"change {advice(found[1])}"
            if self.prog == "rewind.py":  # which rewinds SPARSITIES of the masks that train.py made
                hint = hint.replace("MASK_SPARSITIES", "SPARSITIES")
        if message.startswith("unrecognized arguments: --"):
            name = message.split()[2].removeprefix("--").split("=")[0]
            for command, groups in ALONE.items():
                if any(name == field.name for group in groups for field in fields(group)):
                    hint = f"--{name} is a flag of {command} ({variable(name)} in the scripts)"
        raise UserError(f"{message}; {hint}")
