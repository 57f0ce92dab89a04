"""The matrix product that everything waits for, by BLAS, of views: columns of a matrix need not be copied first.

``np.dot`` in compiled code asks for contiguous arrays, and copies others. Numba's own way to BLAS, which it has for its
linear algebra, takes the distance between two rows (or columns) beside the pointer, as BLAS does; so any view of a
matrix whose rows or columns lie entry beside entry will do.
"""

from numba import types
from numba.extending import overload
from numba.np.linalg import ensure_blas
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
    # BLAS has columns entry beside entry, and takes rows for the columns of the transposed matrix: c^T = b^T a^T. A
    # matrix times a vector is several times as fast by the routine of its own, which wants vectors without gaps.
    ensure_blas()
    pointer, number, letter = types.CPointer(c.dtype), types.intp, types.char
    matrix = types.ExternalFunction("numba_xxgemm", types.intc(
        letter, letter, letter, number, number, number, pointer, pointer, number, pointer, number, pointer, pointer,
        number))
    vector = types.ExternalFunction("numba_xxgemv", types.intc(
        letter, letter, number, number, pointer, pointer, number, pointer, pointer, pointer))
    kind, one, zero = KINDS[c.dtype], np.ones(1, str(c.dtype)), np.zeros(1, str(c.dtype))

    def by_blas(c, a, b):
        (m, k), n, size = a.shape, b.shape[1], c.itemsize
        (order_a, next_a), (order_b, next_b) = _order(a), _order(b)
        if n == 1 and c.strides[0] == size and b.strides[0] == size:
            if order_a == PLAIN:
                vector(kind, TRANSPOSED, k, m, one.ctypes, a.ctypes, next_a, b.ctypes, zero.ctypes, c.ctypes)
            else:
                vector(kind, PLAIN, m, k, one.ctypes, a.ctypes, next_a, b.ctypes, zero.ctypes, c.ctypes)
        elif m == 1 and c.strides[1] == size and a.strides[1] == size:
            if order_b == PLAIN:
                vector(kind, PLAIN, n, k, one.ctypes, b.ctypes, next_b, a.ctypes, zero.ctypes, c.ctypes)
            else:
                vector(kind, TRANSPOSED, k, n, one.ctypes, b.ctypes, next_b, a.ctypes, zero.ctypes, c.ctypes)
        else:
            matrix(kind, order_b, order_a, n, m, k, one.ctypes, b.ctypes, next_b, a.ctypes, next_a, zero.ctypes,
                   c.ctypes, max(c.strides[0] // size, n))

    return by_blas
