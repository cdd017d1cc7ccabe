"""A tiny BERT, and its like, with a small vocabulary; sentences of these words."""

from pathlib import Path

import torch
import transformers

from data_utils.tsv import Row
from mt_dnn.encoders.families import FAMILIES, encoder_class

GOOD, BAD = ["good", "great", "lovely", "fine"], ["bad", "awful", "dull", "poor"]
PLAIN = [
    "the",
    "film",
    "was",
    "a",
    "day",
    "at",
    "sea",
    "we",
    "saw",
    "boats",
    "and",
    "birds",
    "some",
    '"quoted"',
    "it",
    "'s",
]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *GOOD, *BAD, *PLAIN, "quoted", '"', "'", "s"]
VOCABULARY_SIZE = len(VOCABULARY)
# What a mask says about such an encoder, where a test needs no real one.
MODEL = {"name": "tiny", "layers": 3, "heads": 4, "hidden": 32, "intermediate": 48, "parameters": 20000}
PADDING = {family: 0 if family in ("bert", "electra") else 1 for family in FAMILIES}  # the padding token's id
NO_POOLER = "roberta", "electra"  # whose toy checkpoints lack one, as the hub's do


def config(family="bert", layers=3, heads=4, size=8, intermediate=48, dropout=0.1, vocabulary=VOCABULARY_SIZE, types=2):
    more = {"embedding_size": 24} if family == "electra" else {"type_vocab_size": types} if family == "bert" else {}
    return transformers.AutoConfig.for_model(
        family,
        vocab_size=vocabulary,
        hidden_size=heads * size,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        max_position_embeddings=66 if FAMILIES[family].after_padding else 64,
        pad_token_id=PADDING[family],
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        **more,
    )


def encoder(family="bert", seed=0, attention="sdpa", double=True, **shape):
    """A tiny encoder with random weights, biases and LayerNorms far from their initial values; float64, dropout off."""
    torch.manual_seed(seed)
    made_config = config(family, dropout=0.0, **shape)
    made = encoder_class(made_config)(made_config)
    made.config._attn_implementation = attention
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made.double() if double else made


def save_encoder(folder, family="bert", pooler=True, **shape):
    """A pre-trained encoder as the hub has it: config, safetensors (without the pooler, if so said), tokenizer."""
    folder = Path(folder)
    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(family, folder)
    made = encoder(family, double=False, vocabulary=len(tokenizer), **shape)
    made.save_pretrained(
        folder,
        state_dict={
            name: value for name, value in made.state_dict().items() if pooler or not name.startswith("pooler.")
        },
    )
    tokenizer.save_pretrained(folder)
    return folder


def make_tokenizer(family, folder):
    """A tokenizer of the kind that the family's checkpoints have.

    BERT and ELECTRA share one; for them vocab.txt is written to `folder`.
    """
    if PADDING[family] == 0:
        (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
        return transformers.BertTokenizerFast(
            vocab_file=str(folder / "vocab.txt"), vocab={word: i for i, word in enumerate(VOCABULARY)}
        )
    words, letters, special = VOCABULARY[5:], list("abcdefghijklmnopqrstuvwxyz,'\""), ["<s>", "<pad>", "</s>", "<unk>"]
    if family == "roberta":
        return transformers.RobertaTokenizer(
            vocab={token: i for i, token in enumerate([*special, "Ġ", *letters, "<mask>"])}, merges=[]
        )
    if family == "xlm-roberta":
        pieces = [
            ("<mask>", 0.0),
            *((f"▁{word}", -1.0) for word in words),
            *((letter, -9.0) for letter in ["▁", *letters]),
        ]
        return transformers.XLMRobertaTokenizer(vocab=[*((token, 0.0) for token in special), *pieces])
    return transformers.MPNetTokenizer(
        vocab={token: i for i, token in enumerate([*special[:3], "[UNK]", "<mask>", *words])}
    )


SENTENCES = [
    "the film was lovely",
    "a dull day",
    'boats "quoted" it \'s and some birds at sea , we saw',
    "unheard words",
    "poor",
]
ROWS = [Row((text,), None) for text in SENTENCES]
