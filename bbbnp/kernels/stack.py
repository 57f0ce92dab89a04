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

    @intrinsic
    def scratch(_, dtype):  # pragma: no cover
        array = types.Array(parse_dtype(dtype), 2, "C")

        def generate(context, builder, signature, arguments):
            number, size = context.get_data_type(array.dtype), array.dtype.bitwidth // 8
            shape, strides, (itemsize,) = ([context.get_constant(types.intp, n) for n in numbers] for numbers in (
                (rows, columns), (columns * size, size), (size,)))
            with builder.goto_entry_block():
                memory = builder.alloca(ir.ArrayType(number, rows * columns))
            memory.align = ALIGNMENT
            result = context.make_array(array)(context, builder)
            context.populate_array(
                result, data=builder.bitcast(memory, number.as_pointer()), shape=shape, strides=strides,
                itemsize=itemsize, meminfo=None)
            return result._getvalue()

        return array(dtype), generate

    return scratch
