"""The matrix product that everything waits for, of views: columns of a matrix need not be copied first (E10).

A product at least a block wide and high is cut here into the blocks of `microkernel`; a narrower one is BLAS's. BLAS
packs both its matrices anew at every call, and a step multiplies in pieces: ``bbbnp bench --story`` times the pieces
both ways. Also the sum that is an entry is added in one order wherever the matrices are cut, as long as the pieces are
no narrower, which no BLAS promises.

Numba's own way to BLAS takes the distance between two rows (or columns) beside the pointer, where ``np.dot`` asks for
contiguous arrays, and copies others; so any view of a matrix whose rows or columns lie entry beside entry, one after
another, will do.
"""

from numba import types
from numba.extending import overload
from numba.np.linalg import ensure_blas
import numpy as np

from bbbnp.kernels._jit import OPTIONS, kernel
from bbbnp.kernels.microkernel import REGISTER, ROWS, VECTORS, block_product, pack_rows

KINDS = {types.float32: ord("s"), types.float64: ord("d")}  # BLAS's letters
PLAIN, TRANSPOSED = ord("N"), ord("T")


def product(c, a, b):
    """Fill `c`, (M, N), rows entry beside entry, with the product of `a`, (M, K), and `b`, (K, N)."""
    np.matmul(a, b, out=c)


def by_blas(c, a, b):
    """The same by BLAS, whatever the size."""
    np.matmul(a, b, out=c)


@overload(product, jit_options=OPTIONS)
def _product(c, a, b):  # pragma: no cover
    # With steps of one: views in any order, for which all that follows is compiled once a dtype.
    return lambda c, a, b: _multiply(c[::1, ::1], a[::1, ::1], b[::1, ::1])


@kernel
def _multiply(c, a, b):  # pragma: no cover
    # The right factor should have rows entry beside entry. Where it has columns so, a^T is that of c^T = b^T a^T,
    # unless fewer entries of b must be packed one by one than of a and of c^T.
    (m, k), n, lanes = a.shape, b.shape[1], REGISTER // c.itemsize
    if m >= ROWS and n >= lanes and (b.strides[1] == b.itemsize or k * n < m * (k + n)):
        _by_blocks(c, a, b)
    elif n >= ROWS and m >= lanes and b.strides[0] == b.itemsize:
        _by_blocks(c.T, b.T, a.T)
    else:
        by_blas(c, a, b)


@kernel
def _by_blocks(c, a, b):  # pragma: no cover
    lanes = REGISTER // c.itemsize
    panel, width = np.empty(a.shape[1] * VECTORS * lanes + lanes, c.dtype), VECTORS * lanes
    panel = panel[-panel.ctypes.data % REGISTER // c.itemsize:]  # each of its registers in one line of the cache
    _panels(c, a, b, panel, np.empty((ROWS, width), c.dtype))


@kernel(borrows=True)
def _panels(c, a, b, panel, scratch):  # pragma: no cover
    # A panel of b's columns after another, times all rows of a; the last blocks may overlap those before them.
    m, n, lanes = a.shape[0], b.shape[1], REGISTER // c.itemsize
    in_place, done = c.strides[1] == c.itemsize, 0
    while done < n:
        vectors = min(VECTORS, (n - done + lanes - 1) // lanes, n // lanes)  # never wider than c
        width = vectors * lanes
        first = min(done, n - width)
        done = first + width
        _pack(panel, b[:, first:done], vectors)
        for i in range(0, m, ROWS):
            top = min(i, m - ROWS)
            block_product(c[top:, first:] if in_place else scratch[::1, ::1], a[top:], panel, vectors)
            if not in_place:
                for j in range(width):
                    for row in range(ROWS):
                        c[top + row, first + j] = scratch[row, j]


@kernel(borrows=True)
def _pack(panel, b, vectors):  # pragma: no cover
    # The columns of b that a panel holds, row after row, so that the micro-kernel reads them as they lie.
    if b.strides[1] == b.itemsize:
        pack_rows(panel, b, vectors)
        return
    for k in range(b.shape[0]):
        row, place = b[k], panel[k * b.shape[1]:]
        for j in range(row.size):
            place[j] = row[j]


@kernel
def _order(a):  # pragma: no cover
    # Whether the rows of a lie entry beside entry, or its columns do; and the entries from one to the next.
    if a.strides[1] == a.itemsize:
        return PLAIN, max(a.strides[0] // a.itemsize, a.shape[1])
    return TRANSPOSED, max(a.strides[1] // a.itemsize, a.shape[0])


@overload(by_blas, jit_options=OPTIONS)
def _by_blas(c, a, b):  # pragma: no cover
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

    def call(c, a, b):
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

    return call
