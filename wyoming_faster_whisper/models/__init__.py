"""Models: what their names mean, and the directories that hold them.

choosing ──► names, folders      which model, and is it here
    ├──────► packages            installed packages that carry one
    ├──────► hub                 only then the network
    ├──────► tokenizer           the same for a tokenizer that is missing
    └──────► measurements     what was measured on this machine, for auto
"""

from .choosing import choose, choose_auto, is_at_hand, locate
from .folders import data_folders, fault
from .measurements import Measurements
from .names import (
    AUTO,
    Model,
    SttLibrary,
    canonical,
    guess_stt_library,
    is_distilled,
    size_of,
)
from .tokenizer import locate_tokenizer

__all__ = [
    "AUTO",
    "Measurements",
    "Model",
    "SttLibrary",
    "canonical",
    "choose",
    "choose_auto",
    "data_folders",
    "fault",
    "guess_stt_library",
    "is_at_hand",
    "is_distilled",
    "locate",
    "locate_tokenizer",
    "size_of",
]
