"""Noise is a function, not a state: Philox4x32-10 counters to standard normals.

A draw is a function of (seed, stream, step, draw, index): the key is the seed, the counter is (index // 4, draw, step,
stream). Fix them and a stochastic objective is an ordinary function, which can be differentiated numerically,
replayed, split over threads, and need never be stored.

Philox is that of Salmon, Moraes, Dror and Shaw (2011); its words become normals by the transform of Box and Muller
(1958), which needs one logarithm and one root for two normals, and no cases that a vector would compute twice.
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.vectormath import BIT, HALF, ONE, TWO, ZERO, f32, horner, log

# Streams keep the uses of noise apart: the same index of two streams is two independent draws.
WEIGHTS, INITIAL, LOCAL, DROPOUT, PREDICTION, ORDER, OBSERVATION, INPUT_SIGNS, OUTPUT_SIGNS, PRUNING = range(10)
CONTEXTS, REWARDS, EXPLORING, THOMPSON, REPLAYED = range(10, 15)
BLOCK_OF_NORMALS, BLOCK_OF_SIGNS = 4, 128  # what one counter gives: a filling must start at a multiple

u64 = np.uint64
MASK, SHIFT, SIGN_FREE = u64(0xFFFFFFFF), u64(32), u64(0x7FFFFFFF)
MULTIPLIER0, MULTIPLIER1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL0, WEYL1 = u64(0x9E3779B9), u64(0xBB67AE85)

LOW30, MIDDLE, BIT30 = u64(0x3FFFFFFF), np.int32(1 << 29), u64(1 << 30)

TO_UNIT, TO_EIGHTH_TURN = f32(2.0**-32), f32(np.pi / 4 * 2.0**-29)
SIN = tuple(f32(c) for c in (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))  # Cephes, to pi/4
COS = tuple(f32(c) for c in (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))


@kernel(inline=True)
def philox(c0, c1, c2, c3, k0, k1):
    """Ten rounds of Philox4x32: four 32-bit words from a counter of four and a key of two, all held in uint64."""
    for _ in range(10):
        p0, p1 = MULTIPLIER0 * (c0 & MASK), MULTIPLIER1 * (c2 & MASK)  # by instructions that read half a word: no cost
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ k0, p1, (p0 >> SHIFT) ^ c3 ^ k1, p0
        k0, k1 = k0 + WEYL0, k1 + WEYL1
    return c0 & MASK, c1 & MASK, c2 & MASK, c3 & MASK


@kernel(inline=True)
def words(block, seed, stream, step, draw):
    """The four words at indices 4*block to 4*block + 3 of one draw."""
    key = u64(seed)
    return philox(u64(block), u64(draw), u64(step), u64(stream), key & MASK, key >> SHIFT)


@kernel(inline=True)
def minus_log_uniform(word):
    """-log u with u = (word + 1/2)/2^32, float32: an exponential variable, all its digits kept at both ends."""
    upper = word > SIGN_FREE
    p = (f32(np.int32((~word if upper else word) & SIGN_FREE)) + HALF) * TO_UNIT  # u or 1 - u, at most 1/2
    u = ONE - p if upper else p
    lost = (ONE - u) - p if upper else ZERO  # what rounding took from 1 - p: log(u + lost) = log u + lost
    return -(log(u) + lost)


@kernel(inline=True)
def normal_pair(a, b):
    """Two standard normals of two 32-bit words, float32 (Box and Muller 1958).

    z = r cos(angle), r sin(angle) with r = sqrt(-2 log u) of word a, at most 6.8, and an angle uniform on the circle:
    30 bits of word b place it in [-pi/4, pi/4), one reflects it in the diagonal, one turns it by pi
    """
    r = np.sqrt(TWO * minus_log_uniform(a))
    r = -r if b > SIGN_FREE else r
    x = f32(np.int32(np.int32(b & LOW30) - MIDDLE)) * TO_EIGHTH_TURN
    z = x * x
    sin, cos = x + x * z * horner(z, SIN), ONE - HALF * z + z * z * horner(z, COS)
    reflect = (b & BIT30) == BIT30
    return r * (sin if reflect else cos), r * (cos if reflect else sin)


@kernel
def normals(eps, seed, stream, step, draw, start=0):
    """Fill `eps` with the standard normals at indices start, start + 1, ... of one draw.

    Parameters
    ----------
    eps : ndarray, shape (n,)
        Filled; values are float32, cast to its dtype.
    seed, stream, step, draw : int
        The key and counter: a seed below 2^63, one of the streams of this module, and two numbers below 2^32.
    start : int
        First index, a multiple of four.
    """
    size, first = eps.size, start // 4
    whole = size // 4
    for i in range(whole):
        a, b, c, d = words(first + i, seed, stream, step, draw)
        eps[4 * i], eps[4 * i + 1] = normal_pair(a, b)
        eps[4 * i + 2], eps[4 * i + 3] = normal_pair(c, d)
    a, b, c, d = words(first + whole, seed, stream, step, draw)
    rest = normal_pair(a, b) + normal_pair(c, d)
    for i in range(size - 4 * whole):
        eps[4 * whole + i] = rest[i]


@kernel
def signs(s, seed, stream, step, draw, start=0):
    """Fill `s` with the signs, 1 and -1 as often, at indices start, start + 1, ... of one draw: a bit each.

    As `normals`, with a `start` that is a multiple of 128.
    """
    for i in range(0, s.size, BLOCK_OF_SIGNS):
        four = words((start + i) // BLOCK_OF_SIGNS, seed, stream, step, draw)
        for k in range(4):
            first = min(i + 32 * k, s.size)
            part, word = s[first:first + 32], np.int32(four[k])
            for j in range(part.size):
                part[j] = ONE - TWO * f32((word >> np.int32(j)) & BIT)


@kernel(inline=True)
def chance_word(chance):
    """A 32-bit word is below this by the chance, in [0, 1], right to 2^-32."""
    return u64(chance * 4294967296.0)


@kernel
def kept(z, drop, seed, stream, step, draw, start=0):
    """Fill `z` with 0 by the chance `drop`, in [0, 1), and 1/(1 - drop) elsewhere, at indices start, ... (E25).

    As `normals`: a word each, so that the chance is right to 2^-32.
    """
    least, whole = chance_word(drop), z.dtype.type(1 / (1 - drop))
    none, first, blocks = z.dtype.type(0), start // 4, z.size // 4
    for i in range(blocks):
        a, b, c, d = words(first + i, seed, stream, step, draw)
        z[4 * i], z[4 * i + 1] = none if a < least else whole, none if b < least else whole  # E25
        z[4 * i + 2], z[4 * i + 3] = none if c < least else whole, none if d < least else whole
    rest = words(first + blocks, seed, stream, step, draw)
    for i in range(z.size - 4 * blocks):
        z[4 * blocks + i] = none if rest[i] < least else whole


@kernel(inline=True)
def below(word, n):
    """One of 0 .. n-1, by a 32-bit word; each as often to n/2^32."""
    return np.int64((word * u64(n)) >> SHIFT)


@kernel
def shuffle(order, seed, epoch):
    """Fill `order`, shape (N,), with a permutation of 0 .. N-1 that is a function of seed and epoch (Fisher-Yates)."""
    for i in range(order.size):
        order[i] = i
    for i in range(order.size - 1, 0, -1):
        j = below(words(i, seed, ORDER, epoch, 0)[0], i + 1)
        order[i], order[j] = order[j], order[i]
