"""The matrix product that everything waits for, by BLAS, of views: columns of a matrix need not be copied first.

``np.dot`` in compiled code asks for contiguous arrays, and copies others. Numba's own way to BLAS, which it has for its
linear algebra, takes the distance between two rows (or columns) beside the pointer, as BLAS does; so any view of a
matrix whose rows or columns lie entry beside entry will do.
"""

from numba import types
from numba.extending import overload
import numpy as np

from bbbnp.kernels._jit import OPTIONS, kernel

KINDS = {types.float32: ord("s"), types.float64: ord("d")}  # BLAS's letters
PLAIN, TRANSPOSED = ord("N"), ord("T")


def product(c, a, b):
    """Fill `c`, (M, N), rows entry beside entry, with the product of `a`, (M, K), and `b`, (K, N)."""
    np.matmul(a, b, out=c)


@kernel
def _order(a):  # pragma: no cover
    # Whether the rows of a lie entry beside entry, or its columns do; and the entries from one to the next.
    if a.strides[1] == a.itemsize:
        return PLAIN, max(a.strides[0] // a.itemsize, a.shape[1])
    return TRANSPOSED, max(a.strides[1] // a.itemsize, a.shape[0])


@overload(product, jit_options=OPTIONS)
def _product(c, a, b):  # pragma: no cover
    # BLAS has columns entry beside entry, and takes rows for the columns of the transposed matrix: c^T = b^T a^T
    pointer, number = types.CPointer(c.dtype), types.intp
    gemm = types.ExternalFunction("numba_xxgemm", types.intc(
        types.char, types.char, types.char, number, number, number, pointer, pointer, number, pointer, number, pointer,
        pointer, number))
    kind, one, zero = KINDS[c.dtype], np.ones(1, str(c.dtype)), np.zeros(1, str(c.dtype))

    def by_blas(c, a, b):
        order_a, next_a = _order(a)
        order_b, next_b = _order(b)
        gemm(kind, order_b, order_a, c.shape[1], c.shape[0], a.shape[1], one.ctypes, b.ctypes, next_b, a.ctypes, next_a,
             zero.ctypes, c.ctypes, max(c.strides[0] // c.itemsize, c.shape[1]))

    return by_blas
