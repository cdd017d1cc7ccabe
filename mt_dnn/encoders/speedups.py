"""Make the library's encoders faster.

The last layer runs at the first position alone, attention has fast dropout, and products are fast in bfloat16 on CPUs
that lack it.
"""

from torch import nn

from mt_dnn.encoders.attention import attend
from mt_dnn.encoders.dropout import Dropout
from mt_dnn.encoders.encoder import Encoder
from mt_dnn.encoders.first_position import FirstPositionLayer
from mt_dnn.encoders.mpnet import RelativeLayer
from mt_dnn.encoders.products import Linear


def apply_speedups(encoder: Encoder) -> None:
    """Replace the last layer, attention, dropout and linear layers of `encoder` (one of families.py) by faster ones, in
    place.

    The pooler's output stays the same up to rounding, and the weights keep their names. The last layer's hidden states
    are those of the first position only. (Setting `__class__` keeps a module's weights and gives it another forward.)
    """
    last = encoder.encoder.layer[-1]
    if isinstance(last, RelativeLayer):
        last.first_position_only = True
    else:
        last.__class__ = FirstPositionLayer
    if encoder.config._attn_implementation == "sdpa":
        encoder.config._attn_implementation = attend.__name__
    for module in encoder.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
    for module in encoder.encoder.modules():
        if type(module) is nn.Linear:
            module.__class__ = Linear
