"""What comes by a hub name, or from a local folder in the hub's format: the tokenizer; and what is said when it does not come."""

import contextlib
from pathlib import Path

import transformers

from data_utils.files import UserError

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()


def load_tokenizer(name):
    """Load a tokenizer by hub name or from a local folder; raise UserError if there is none."""
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in ("tokenizer.json", "vocab.txt")):
        raise UserError(f"--init_checkpoint {name}: neither tokenizer.json nor vocab.txt, expected a tokenizer beside the weights")
    with hub_errors(name, "a tokenizer"):
        return transformers.AutoTokenizer.from_pretrained(name)


@contextlib.contextmanager
def hub_errors(name, expected):
    """Within the block, turn what goes wrong with `name`, as `expected` ("a tokenizer"), into a UserError."""
    if not Path(name).is_dir() and (str(name).startswith((".", "/", "~")) or str(name).count("/") > 1):
        raise UserError(f"--init_checkpoint {name}: no such folder, expected {expected}: a hub name, or a local folder in the hub's format")
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds for what is wrong in a folder
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"--init_checkpoint {name}: {reason.rstrip('.')}; expected {expected}: a hub name, or a local folder in the hub's format") from None
