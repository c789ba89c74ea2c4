"""Ropewalk: an MLIR compiler for rotary attention.

    import ropewalk

    out = ropewalk.attention(q, k, v, position_map=ropewalk.SelfExtend(group=8, window=1024),
                             rotary=ropewalk.Rotary(theta=1e6))
    model = ropewalk.load("path/to/model", position_map=ropewalk.SelfExtend(8, 64))
    logits = model.logits([[1, 2, 3]])

Arrays are NumPy arrays or PyTorch tensors on the CPU; what comes out is of the
kind that went in. `emulate` runs any PTX kernel on arrays, without a GPU, and
`mutate` tells which of its synchronizations would be missed.
"""

from ._addresses import Pointers, Struct
from ._attention import attention
from ._buffers import uninitialized
from ._emulate import EmulationError, EmulationResult, emulate
from ._library import CancelledError, RopewalkError, library_path, load_plugin, set_threads, version
from ._maps import Identity, PositionMap, ReRoPE, Segments, SelfExtend, Sliding
from ._model import Model, compile_model, import_model, load
from ._mutate import Mutant, MutationResult, mutate
from ._rotary import Rotary
from ._tensor_map import TensorMap

__version__ = "0.1.0"

__all__ = [
    "CancelledError",
    "EmulationError",
    "EmulationResult",
    "Identity",
    "Model",
    "Mutant",
    "MutationResult",
    "Pointers",
    "PositionMap",
    "ReRoPE",
    "RopewalkError",
    "Rotary",
    "Segments",
    "SelfExtend",
    "Sliding",
    "Struct",
    "TensorMap",
    "attention",
    "compile_model",
    "emulate",
    "import_model",
    "library_path",
    "load",
    "load_plugin",
    "mutate",
    "set_threads",
    "uninitialized",
    "version",
]
