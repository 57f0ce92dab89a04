"""Scratch that a function has on its stack: of a size known when compiling, and to be asked for as often as one likes.

An array from NumPy takes a call of the allocator and, since its references are counted, an atomic instruction for every
slice, both dear beside a few thousand weights. This one ends with the function that asks for it, and must not be
returned.
"""

from llvmlite import ir
from numba import types
from numba.core import config
from numba.core.typing.npydecl import parse_dtype
from numba.extending import intrinsic
import numpy as np

ALIGNMENT = 64  # bytes: a line of the cache


def on_stack(rows, columns):
    """A function of a dtype that gives an array of this shape, not filled, on the stack of the kernel that calls it."""
    if config.DISABLE_JIT:
        return lambda dtype: np.empty((rows, columns), dtype)
    return _compiled(rows, columns)  # pragma: no cover


def _compiled(rows, columns):  # pragma: no cover
    @intrinsic
    def scratch(_, dtype):
        array = types.Array(parse_dtype(dtype), 2, "C")
        return array(dtype), generate

    def generate(context, builder, signature, _):
        array = signature.return_type
        number, size = context.get_data_type(array.dtype), array.dtype.bitwidth // 8
        *shape, below, beside = (context.get_constant(types.intp, n) for n in (rows, columns, columns * size, size))
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(number, rows * columns))
        memory.align = ALIGNMENT
        result = context.make_array(array)(context, builder)
        context.populate_array(
            result, data=builder.bitcast(memory, number.as_pointer()), shape=shape, strides=(below, beside),
            itemsize=beside, meminfo=None)
        return result._getvalue()

    return scratch
