"""Load by hub name, or from a local folder in the hub's format. If that fails, one line says why."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import transformers
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import safe_open
from transformers import PreTrainedTokenizerBase
from transformers.utils.hub import cached_file, get_checkpoint_shard_files

from data_utils.advice import advice
from data_utils.errors import UserError, is_memory_full

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

TOKENIZERS = "tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model"
FLOATS = {"F64", "F32", "F16", "BF16"}  # types of weights, as safetensors names them
TIMEOUT_SECONDS = 5  # how long the hub may take to answer


def load_tokenizer(name: str | Path, flag: str = "--init_checkpoint") -> PreTrainedTokenizerBase:
    """Load a tokenizer by hub name or from a local folder.

    `flag`: the flag that named it, for the error line, or "" for a folder of ours. Raises UserError if there is none.
    """
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in TOKENIZERS):
        raise UserError(
            f"{f'{flag} {name}'.strip()}: no {', '.join(TOKENIZERS[:-1])} or {TOKENIZERS[-1]}, "
            f"expected a tokenizer beside the weights{take_another(flag)}"
        )
    with hub_errors(name, "a tokenizer", flag):
        return transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)


def weight_types(name: str | Path) -> dict[str, str]:
    """Return {weight: its type, "F32" ...} of the safetensors checkpoint `name`: a hub name or a local folder."""
    path = cached_file(name, "model.safetensors", _raise_exceptions_for_missing_entries=False)
    if path:
        paths = [path]
    else:  # a large model, in several files
        index = cached_file(name, "model.safetensors.index.json", _raise_exceptions_for_missing_entries=False)
        if not index:
            raise FileNotFoundError(
                "no model.safetensors (run download.sh again if it was stopped; docs/encoders.md makes it from "
                "pytorch_model.bin)"
            )
        paths, _ = get_checkpoint_shard_files(name, index)
    types = {}
    for path in paths:  # pyright: ignore[reportOptionalIterable]
        with safe_open(path, "pt") as file:
            types |= {key: file.get_slice(key).get_dtype() for key in file.keys()}
    return types


@contextlib.contextmanager
def hub_errors(name: str | Path, expected: str, flag: str = "--init_checkpoint") -> Iterator[None]:
    """Within the block, turn whatever goes wrong with `name` into a UserError.

    `expected`: what it should be ("a tokenizer"). `flag`: the flag that named it, or "" for a folder of ours.
    """
    where = f"{flag} {name}".strip()
    if flag:
        expected += f": a hub name, or a local folder in the hub's format{take_another(flag)}"
    if not Path(name).is_dir():
        if str(name).startswith((".", "/", "~")) or str(name).count("/") > 1:
            raise UserError(f"{where}: no such folder, expected {expected}")
        _go_offline_without_network(str(name))
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # the library raises many kinds for what is wrong in a folder
        if is_memory_full(error):
            raise
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if not Path(name).is_dir() and huggingface_hub.is_offline_mode():
            reason = f"no such folder, not fetched before, and {huggingface_hub.constants.ENDPOINT} can't be reached"
            if (downloaded := Path("data/encoders") / name).is_dir():
                expected = f"{downloaded}, where download.sh put it"
        raise UserError(f"{where}: {reason.rstrip('.')}; expected {expected}") from None


def take_another(flag: str) -> str:
    """Return the end of an error line: which flag to change, and where scripts set it; "" without a flag."""
    return f"; take another {advice(flag)}" if flag else ""


@functools.cache
def _go_offline_without_network(name: str) -> None:
    """If the hub can't be reached, use what was fetched before. The library itself would try for half a minute."""
    if huggingface_hub.is_offline_mode():
        return
    try:
        huggingface_hub.get_hf_file_metadata(huggingface_hub.hf_hub_url(name, "config.json"), timeout=TIMEOUT_SECONDS)
    except (HfHubHTTPError, HFValidationError):
        pass  # there is a network; what is wrong with the name is told later
    except Exception:  # each of several libraries below has its own classes
        huggingface_hub.constants.HF_HUB_OFFLINE = True
