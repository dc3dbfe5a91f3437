"""Model names, and the directories that hold the models.

choosing ──► names, folders      resolves a name; finds a local copy of the model
    ├──────► moonshine           the same for Moonshine's models, which auto may choose
    ├──────► packages            installed packages that contain the model
    ├──────► hub                 downloads the model if there is no local copy
    └──────► auto, measurements  --model auto, from decode times on this machine
onnx_asr ──► folders, hub        the same for the models of onnx-asr
tokenizer ─► packages, hub       finds a tokenizer for a model that comes without one
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
    standard_name,
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
    "standard_name",
]
