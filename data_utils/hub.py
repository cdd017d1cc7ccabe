"""What comes by a hub name, or from a local folder in the hub's format: the tokenizer; and what is said when it does not come."""

import contextlib
from pathlib import Path

import transformers

from data_utils.errors import UserError

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

TOKENIZERS = "tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model"


def load_tokenizer(name, flag="--init_checkpoint"):
    """Load a tokenizer by hub name or from a local folder; raise UserError if there is none. `flag`: what named it, or "" for a folder of ours."""
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in TOKENIZERS):
        raise UserError(
            f"{f'{flag} {name}'.strip()}: no {', '.join(TOKENIZERS[:-1])} or {TOKENIZERS[-1]}, expected a tokenizer beside the weights"
        )
    with hub_errors(name, "a tokenizer", flag):
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)


@contextlib.contextmanager
def hub_errors(name, expected, flag="--init_checkpoint"):
    """Within the block, turn what goes wrong with `name`, as `expected` ("a tokenizer"), into a UserError. `flag`: what named it, or "" for a folder of ours."""
    where = f"{flag} {name}".strip()
    if flag:
        expected += ": a hub name, or a local folder in the hub's format"
    if not Path(name).is_dir() and (str(name).startswith((".", "/", "~")) or str(name).count("/") > 1):
        raise UserError(f"{where}: no such folder, expected {expected}")
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds for what is wrong in a folder
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"{where}: {reason.rstrip('.')}; expected {expected}") from None
