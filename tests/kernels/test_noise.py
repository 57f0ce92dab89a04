"""Philox by its published vectors, normals by a float64 twin; addressing, moments and independence of draws."""

import itertools

import numba
import numpy as np
import pytest
from scipy import stats

from bbbnp import reference
from bbbnp.kernels import noise

JIT = not numba.config.DISABLE_JIT
DRAWS = 1_000_000 if JIT else 10_000
SEED, TOP = 20_240_229, 1 << 31
KEY = {"seed": SEED, "stream": noise.LOCAL, "step": 7, "draw": 3}
# Random123, kat_vectors: counter, key, output.
KNOWN = (
    ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
)


def philox_twin(counter, key, rounds=10):
    """Philox4x32 in Python's integers."""
    (a, b, c, d), (k, m), mask = counter, key, (1 << 32) - 1
    for _ in range(rounds):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & mask, (p >> 32) ^ d ^ m, p & mask
        k, m = (k + 0x9E3779B9) & mask, (m + 0xBB67AE85) & mask
    return a, b, c, d


def draws(size=DRAWS, dtype=np.float32, start=0, **key):
    eps = np.full(size, np.nan, dtype)
    key = KEY | key
    noise.normals(eps, key["seed"], key["stream"], key["step"], key["draw"], start)
    return eps


@numba.njit
def pair_map(z, a, b):
    for i in range(a.size):
        z[0, i], z[1, i] = noise.normal_pair(noise.minus_log_uniform(a[i]), b[i])


def normals_of(a, b):
    a, b = (np.atleast_1d(np.asarray(words, np.uint32)).view(np.int32) for words in (a, b))
    z = np.full((2, a.size), np.nan, np.float32)
    pair_map(z, a, b)
    return z


def box_muller(a, b, radius=1.0):
    """The twin in float64: uniform u of word a, its logarithm from the nearer end; angle, reflection and turn of b."""
    a, b = np.asarray(a, float), np.asarray(b, np.int64)
    log_u = np.where(a < TOP, np.log((a + 0.5) / 2**32), np.log1p(-(2.0**32 - a - 0.5) / 2**32))
    angle = ((b & (1 << 30) - 1) - (1 << 29)) / 2**29 * np.pi / 4
    angle = np.where(b >> 30 & 1, np.pi / 2 - angle, angle) + np.pi * (b >> 31)
    r = radius * np.sqrt(-2 * log_u)
    return np.array([r * np.cos(angle), r * np.sin(angle)])


def word_grid():
    """Words a: both ends and the middle, evenly spaced, and geometrically into both tails; as many words b."""
    n = 1_000_000 if JIT else 500
    ends, tail = np.arange(1000), np.geomspace(1, TOP - 1, n).astype(int)
    a = np.unique(np.concatenate([
        ends, 2 * TOP - 1 - ends, TOP - 500 + ends, np.linspace(0, 2 * TOP - 1, n).astype(int), tail, 2 * TOP - tail]))
    b = np.random.default_rng(3).permutation(np.linspace(0, 2 * TOP - 1, a.size).astype(int))
    return a, b


@pytest.mark.parametrize("counter, key, output", KNOWN)
def test_philox_gives_the_known_answers_and_nine_rounds_do_not(counter, key, output):
    assert noise.philox(*map(np.uint64, counter + key)) == output
    assert philox_twin(counter, key) == output != philox_twin(counter, key, rounds=9)


def test_a_word_is_addressed_by_block_draw_step_stream_and_both_halves_of_the_seed():
    rng = np.random.default_rng(1)
    for block, draw, step, *seed in rng.integers(1 << 32, size=(100, 5)).tolist() + [[0, 1, 2, 5, 6]]:
        seed = (seed[0] >> 1, seed[1])  # seeds are below 2^63
        expected = philox_twin((block, draw, step, noise.DROPOUT), seed[::-1])
        assert noise.words(block, (seed[0] << 32) + seed[1], noise.DROPOUT, step, draw) == expected


def test_normal_pair_equals_box_and_muller_within_the_stated_error():
    # Measured over four million words: at most 2.31e-7 of the radius, the same at both ends and in the middle of u.
    a, b = word_grid()
    true = box_muller(a, b)
    unit = np.hypot(*true)
    error = np.max(np.abs(normals_of(a, b) - true) / unit)
    assert 1.2e-7 < error <= 2.4e-7
    assert np.max(np.abs(normals_of(a, b) - box_muller(a, b, radius=1 + 4e-7)) / unit) > 2.4e-7


def test_the_top_bit_of_b_turns_by_pi_and_the_next_one_reflects_in_the_diagonal():
    a, b = word_grid()
    b &= TOP // 2 - 1
    z = normals_of(a, b)
    np.testing.assert_array_equal(normals_of(a, b + TOP), -z)
    np.testing.assert_array_equal(normals_of(a, b + TOP // 2), z[::-1])
    assert np.all(np.abs(z[1]) <= z[0] * (1 + 1e-6))  # the angle is within pi/4 of the first axis


def test_extreme_words_are_finite():
    z = normals_of([0, 2 * TOP - 1, TOP - 1, TOP], [1 << 29] * 4)  # u from 2^-33 to 1 - 2^-33, at angle zero
    np.testing.assert_allclose(z[0], [6.7637057, 1.5258789e-05, 1.1774100, 1.1774100], rtol=1e-7)
    np.testing.assert_array_equal(z[1], 0)


def is_standard_normal(eps):
    """First four moments within five standard errors, and a Kolmogorov-Smirnov distance of probability above 1e-6."""
    x, n = eps.astype(np.float64), eps.size
    moments = np.array([x.mean(), (x**2).mean() - 1, (x**3).mean(), (x**4).mean() - 3])
    z = moments / np.sqrt(np.array([1, 2, 15, 96]) / n)  # variances of x, x^2, x^3 and x^4
    return np.all(np.abs(z) < 5) and stats.kstest(x, "norm").pvalue > 1e-6


def test_draws_are_standard_normal_and_shifted_or_scaled_ones_are_not():
    eps, small = draws(), 10 / np.sqrt(DRAWS)
    assert is_standard_normal(eps)
    assert not is_standard_normal(eps + small) and not is_standard_normal(eps * (1 + small))


def neighbours():
    """Draws whose keys differ in one coordinate, in its low or high bits, and shifted by 1 to 8 places."""
    size = 100_000 if JIT else 1000
    base = draws(size + 8)
    keys = [{name: KEY[name] ^ 1 << bit} for name in ("seed", "step", "draw") for bit in (0, 1, 31)]
    keys += [{"seed": SEED ^ 1 << bit} for bit in (32, 33, 62)] + [{"step": KEY["draw"], "draw": KEY["step"]}]
    keys += [{"stream": stream} for stream in range(9) if stream != KEY["stream"]]
    return np.array([base[lag:size + lag] for lag in range(9)] + [draws(size, **key) for key in keys], np.float64)


def test_draws_of_other_keys_and_places_are_other_numbers_and_uncorrelated():
    # 28 vectors make 378 pairs, of values and of squares: one seed in 2,300 has a |z| above 5 by chance (Bonferroni).
    eps = neighbours()
    different = ~np.eye(len(eps), dtype=bool)
    for x in eps, (eps**2 - 1) / np.sqrt(2):
        z = x @ x.T / np.sqrt(x.shape[1])
        assert np.all(np.abs(z[different]) < 5)
        assert np.all(z[~different] > 5)  # the same key twice would be seen
    assert max(np.mean(a == b) for a, b in itertools.combinations(eps, 2)) < 0.01


def test_any_start_and_any_size_cut_the_same_vector():
    full = draws(50)
    for start in range(40):
        np.testing.assert_array_equal(draws(50 - start, start=start), full[start:])
        np.testing.assert_array_equal(draws(start % 7, start=start), full[start:start + start % 7])
    for size in range(10):
        np.testing.assert_array_equal(draws(size), full[:size])
    beyond = draws(2 * noise.STRIP + 7)  # they are made strip by strip
    np.testing.assert_array_equal(beyond[:50], full)
    for start in (3, noise.STRIP - 1, noise.STRIP):
        np.testing.assert_array_equal(draws(2 * noise.STRIP + 7 - start, start=start), beyond[start:])
    for block in (*range(12), noise.STRIP // 4 - 1, noise.STRIP // 4, noise.STRIP // 2):
        words = philox_twin((block, KEY["draw"], KEY["step"], KEY["stream"]), (SEED, 0))
        np.testing.assert_array_equal(beyond[4 * block:4 * block + 4], normals_of(words[::2], words[1::2]).T.ravel())


def test_float64_draws_are_the_float32_draws():
    np.testing.assert_array_equal(draws(1001, np.float64), draws(1001).astype(np.float64))


@pytest.mark.skipif(not JIT, reason="this run is the plain Python")
def test_compiled_draws_equal_those_of_plain_python(monkeypatch):
    compiled, plain = draws(4003), np.full(4003, np.nan, np.float32)
    for name in ("horner", "philox", "words", "minus_log_uniform", "normal_pair", "_fill_words", "_fill_pairs",
                 "_interleave"):
        monkeypatch.setattr(noise, name, getattr(noise, name).py_func)
    monkeypatch.setattr(noise, "four_rows", lambda dtype: np.empty((4, noise.STRIP // 4), dtype))
    noise.normals.py_func(plain, *KEY.values())
    np.testing.assert_allclose(compiled, plain, rtol=1e-6, atol=1e-6)


def shuffled(n, seed, epoch):
    order = np.full(n, -1)
    noise.shuffle(order, seed, epoch)
    return order


@pytest.mark.parametrize("n", (1, 2, 7, 1000))
def test_shuffle_is_a_permutation_and_a_function_of_seed_and_epoch(n):
    order = shuffled(n, SEED, 5)
    np.testing.assert_array_equal(np.sort(order), np.arange(n))
    np.testing.assert_array_equal(shuffled(n, SEED, 5), order)
    if n == 1000:
        others = shuffled(n, SEED, 6), shuffled(n, SEED + 1, 5), shuffled(n, SEED + (1 << 32), 5), np.arange(n)
        assert all(np.mean(order == other) < 0.02 for other in others)


def chi_square(orders):
    """Pearson's statistic of the 24 permutations of four, all equally probable."""
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    expected = len(orders) / 24
    return np.sum((counts - expected) ** 2 / expected) + (24 - counts.size) * expected


def test_all_24_orders_of_four_are_equally_frequent_and_those_of_a_naive_shuffle_are_not():
    epochs, limit = (24_000 if JIT else 4800), stats.chi2.isf(1e-6, df=23)
    assert chi_square(np.array([shuffled(4, SEED, epoch) for epoch in range(epochs)])) < limit
    naive, rows = np.tile(np.arange(4), (epochs, 1)), np.arange(epochs)
    for i in range(4):  # swaps each place with any, not with those before it
        j = np.random.default_rng(i).integers(4, size=epochs)
        naive[rows, j], naive[rows, i] = naive[rows, i], naive[rows, j]
    assert chi_square(naive) > limit


def signs(size, start=0, **key):
    s, key = np.full(size, np.nan, np.float32), KEY | key
    noise.signs(s, key["seed"], key["stream"], key["step"], key["draw"], start)
    return s


def test_signs_are_bits_of_their_words():
    s = signs(300)
    four = [int(word) for i in range(3) for word in philox_twin(
        (i, KEY["draw"], KEY["step"], KEY["stream"]), (SEED, 0))]
    np.testing.assert_array_equal(s, [1 - 2 * (four[j // 32] >> j % 32 & 1) for j in range(300)])
    np.testing.assert_array_equal(signs(172, start=128), s[128:])
    for name in KEY:
        assert not np.array_equal(signs(300, **{name: KEY[name] + 1}), s)


def test_signs_are_as_often_plus_as_minus_and_independent_of_their_neighbours():
    s = signs(DRAWS)
    assert abs(s.mean()) < 5 / np.sqrt(DRAWS)
    for lag in (1, 32, 128):
        assert abs(np.mean(s[lag:] * s[:-lag])) < 5 / np.sqrt(DRAWS)


def kept(size, drop=0.3, start=0, dtype=np.float64, **key):
    z, key = np.full(size, np.nan, dtype), KEY | key
    noise.kept(z, drop, key["seed"], key["stream"], key["step"], key["draw"], start)
    return z


@pytest.mark.E25
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("drop", [0.0, 0.2, 0.5, 0.9])
def test_units_are_left_out_as_often_as_asked_and_the_others_scaled(drop, dtype):
    z = kept(DRAWS, drop, dtype=dtype)
    assert set(np.unique(z)) == ({0, dtype(1 / (1 - drop))} if drop else {1})
    out = z == 0
    assert abs(out.mean() - drop) <= 5 * np.sqrt(drop * (1 - drop) / DRAWS)
    for lag in (1, 4, 128):
        assert abs(np.mean((out[lag:] - drop) * (out[:-lag] - drop))) <= 5 * drop * (1 - drop) / np.sqrt(DRAWS - lag)


@pytest.mark.E25
def test_units_kept_are_those_of_the_reference_whose_word_is_not_below_the_chance():
    u = np.array([philox_twin((block, KEY["draw"], KEY["step"], KEY["stream"]), (SEED, 0)) for block in range(50)])
    np.testing.assert_array_equal(kept(200), reference.kept(u.ravel() / 2**32, 0.3))
    wrong = reference.kept(u.ravel() / 2**32, 0.7)
    assert not np.array_equal(kept(200) > 0, wrong > 0)  # the chance to stay in place of that to go


@pytest.mark.E25
def test_units_kept_are_a_function_of_key_and_index():
    z = kept(203)
    for start in (0, 4, 100, 200):
        np.testing.assert_array_equal(kept(203 - start, start=start), z[start:])
    for size in range(6):
        np.testing.assert_array_equal(kept(size), z[:size])
    for name in KEY:
        assert not np.array_equal(kept(203, **{name: KEY[name] + 1}), z)
    assert not kept(203, 0.6)[z == 0].any()  # a larger chance drops these too


@pytest.mark.E25
def test_a_unit_is_dropped_by_a_word_below_the_chance_and_kept_by_one_that_equals_it():
    z = np.empty(7)  # a whole counter, and a part of one
    drawn = [int(word) for block in (0, 1) for word in noise.words(block, 3, noise.DROPOUT, 1, 2)]
    for i in range(z.size):
        for above, expected in ((0, True), (1, False)):
            noise.kept(z, (drawn[i] + above) / 2**32, 3, noise.DROPOUT, 1, 2)
            assert (z[i] > 0) == expected
    assert noise.chance_word(0.0) == 0 and noise.chance_word(1.0) == 2**32


def test_a_filling_starts_at_index_zero_and_goes_on_where_a_counter_ends():
    for fill, block in ((noise.normals, noise.BLOCK_OF_NORMALS), (noise.signs, noise.BLOCK_OF_SIGNS),
                        (lambda z, *key: noise.kept(z, 0.5, *key), noise.BLOCK_OF_NORMALS)):
        whole, first, rest = np.empty(300), np.empty(300), np.empty(300 - block)
        fill(whole, 3, noise.LOCAL, 1, 2)
        fill(first, 3, noise.LOCAL, 1, 2, 0)
        fill(rest, 3, noise.LOCAL, 1, 2, block)
        np.testing.assert_array_equal(first, whole)
        np.testing.assert_array_equal(rest, whole[block:])


def test_the_lowest_bit_of_a_word_turns_the_angle():
    cos, sin = noise.normal_pair(np.float32(2), np.int32((1 << 29) + 1))
    assert sin == pytest.approx(cos * np.pi / 4 * 2.0**-29, rel=1e-6)


def test_shuffle_is_fisher_yates_by_the_first_word_of_each_counter():
    order, expected = np.empty(20, np.int64), list(range(20))
    noise.shuffle(order, 5, 6)
    for i in range(19, 0, -1):
        j = int(noise.words(i, 5, noise.ORDER, 6, 0)[0]) * (i + 1) >> 32
        expected[i], expected[j] = expected[j], expected[i]
    assert order.tolist() == expected
