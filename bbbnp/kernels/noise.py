"""Noise is a function, not a state: Philox4x32-10 counters to standard normals.

A draw is a function of (seed, stream, step, draw, index): the key is the seed, the counter is (index // 4, draw, step,
stream). Fix them and a stochastic objective is an ordinary function, which can be differentiated numerically,
replayed, split over threads, and need never be stored.

Philox is that of Salmon, Moraes, Dror and Shaw (2011); its words become normals by the transform of Box and Muller
(1958), which needs one logarithm and one root for two normals, and no cases that a vector would compute twice.
"""

import numpy as np

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.stack import on_stack
from bbbnp.kernels.vectormath import HALF, ONE, STRIP, TWO, ZERO, f32, horner, log_positive

# Streams keep the uses of noise apart: the same index of two streams is two independent draws.
WEIGHTS, INITIAL, LOCAL, DROPOUT, PREDICTION, ORDER, OBSERVATION, INPUT_SIGNS, OUTPUT_SIGNS, PRUNING = range(10)
CONTEXTS, REWARDS, EXPLORING, THOMPSON, REPLAYED = range(10, 15)
BLOCK_OF_NORMALS, BLOCK_OF_SIGNS = 4, 128  # what one counter gives: `signs` and `kept` start at a multiple

u64 = np.uint64
MASK, SHIFT = u64(0xFFFFFFFF), u64(32)
MULTIPLIER0, MULTIPLIER1 = u64(0xD2511F53), u64(0xCD9E8D57)
WEYL0, WEYL1 = u64(0x9E3779B9), u64(0xBB67AE85)

NO_BITS, BIT, BIT30 = np.int32(0), np.int32(1), np.int32(1 << 30)
LOW30, MIDDLE = np.int32((1 << 30) - 1), np.int32(1 << 29)

four_rows = on_stack(4, STRIP // 4)  # a strip's words, or normals, as they come from its counters

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
    """-log u with u = (word + 1/2)/2^32, float32: an exponential variable, all its digits kept at both ends.

    `word` is an int32, negative where the 32-bit word is 2^31 or more.
    """
    upper = word < NO_BITS
    p = (f32(~word if upper else word) + HALF) * TO_UNIT  # u or 1 - u, at most 1/2
    u = ONE - p if upper else p
    lost = (ONE - u) - p if upper else ZERO  # what rounding took from 1 - p: log(u + lost) = log u + lost
    return -(log_positive(u) + lost)


@kernel(inline=True)
def normal_pair(exponential, word):
    """Two standard normals of an exponential variable and a word (int32), float32 (Box and Muller 1958).

    z = r cos(angle), r sin(angle) with r = sqrt(2 exponential), at most 6.8, and an angle uniform on the circle: 30
    bits of the word place it in [-pi/4, pi/4), one reflects it in the diagonal, the sign turns it by pi
    """
    r = np.sqrt(TWO * exponential)
    r = -r if word < NO_BITS else r
    x = f32(np.int32(np.int32(word & LOW30) - MIDDLE)) * TO_EIGHTH_TURN
    z = x * x
    sin, cos = x + x * z * horner(z, SIN), ONE - HALF * z + z * z * horner(z, COS)
    reflect = (word & BIT30) != NO_BITS
    return r * (sin if reflect else cos), r * (cos if reflect else sin)


@kernel(borrows=True)
def _fill_words(planes, n, block, seed, stream, step, draw):
    """The words of the n counters block, block + 1, ...: first words in the first row of `planes`, int32, and so on."""
    a, b, c, d = planes[0, :n], planes[1, :n], planes[2, :n], planes[3, :n]
    for i in range(n):
        four = words(block + i, seed, stream, step, draw)
        a[i], b[i], c[i], d[i] = np.int32(four[0]), np.int32(four[1]), np.int32(four[2]), np.int32(four[3])


@kernel(borrows=True)
def _fill_pairs(z, other, a, b):
    """Two vectors of normals from two of words. Of a loop that does all of it, a processor can begin too little ahead
    of what it waits for."""
    for i in range(z.size):
        z[i] = minus_log_uniform(a[i])
    for i in range(z.size):
        z[i], other[i] = normal_pair(z[i], b[i])


@kernel(borrows=True)
def _interleave(eps, skipped, a, b, c, d):
    """What follows the first `skipped` of a[0], b[0], c[0], d[0], a[1], ..., as far as `eps` has room."""
    rest = (a, b, c, d)
    if skipped > 0:
        for k in range(skipped, min(4, skipped + eps.size)):
            eps[k - skipped] = rest[k][0]
        eps, a, b, c, d = eps[4 - skipped:], a[1:], b[1:], c[1:], d[1:]
    whole = eps.size // 4
    for i in range(whole):
        eps[4 * i], eps[4 * i + 1], eps[4 * i + 2], eps[4 * i + 3] = a[i], b[i], c[i], d[i]
    rest = (a, b, c, d)
    for k in range(eps.size - 4 * whole):
        eps[4 * whole + k] = rest[k][whole]


@kernel(borrows=True)
def _strips(eps, z, planes, seed, stream, step, draw, start):
    # `normals`, STRIP at a time, with rows of z and planes as scratch.
    skipped = start % BLOCK_OF_NORMALS
    for a in range(-skipped, eps.size, STRIP):
        n = (min(a + STRIP, eps.size) - a + 3) // 4
        _fill_words(planes, n, (start + a) // 4, seed, stream, step, draw)
        for k in range(0, 4, 2):
            _fill_pairs(z[k, :n], z[k + 1, :n], planes[k, :n], planes[k + 1, :n])
        _interleave(eps[max(a, 0):a + STRIP], max(-a, 0), z[0], z[1], z[2], z[3])


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
        First index.
    """
    _strips(eps, four_rows(np.float32), four_rows(np.int32), seed, stream, step, draw, start)


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

    As `normals`, with a `start` that is a multiple of four: a word each, so that the chance is right to 2^-32.
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
