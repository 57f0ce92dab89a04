"""The flat layout: size, views, initial values, and errors."""

from hypothesis import given, settings, strategies as st
import numpy as np
import pytest

from bbbnp import Architecture, Key, reference, weight_noise
from bbbnp.architecture import aligned_zeros
from bbbnp.training import State

WIDTHS = [(3, 5, 2), (1, 1), (2, 4, 3, 5)]


@pytest.mark.parametrize("widths, size", [((3, 5, 2), 15 + 5 + 10 + 2), ((1, 1), 2), ((2, 4, 3, 5), 12 + 15 + 20)])
def test_size_counts_weights_and_biases(widths, size):
    assert Architecture(widths).size == size


@pytest.mark.E10
@pytest.mark.parametrize("widths", WIDTHS)
def test_views_are_w_row_by_row_then_b_of_each_layer(widths):
    flat = np.arange(Architecture(widths).size, dtype=float)
    views = Architecture(widths).views(flat)
    assert [(w.shape, b.shape) for w, b in views] == [((k, n), (n,)) for k, n in zip(widths, widths[1:])]
    np.testing.assert_array_equal(np.concatenate([part.ravel() for pair in views for part in pair]), flat)
    for pair, twin in zip(views, reference.layers(flat, widths), strict=True):
        np.testing.assert_array_equal(pair[0], twin[0])
        np.testing.assert_array_equal(pair[1], twin[1])


@pytest.mark.E10
@given(st.lists(st.integers(1, 40), min_size=2, max_size=6, unique=True), st.integers(1, 2000), st.integers(1, 50),
       st.integers(1, 60))
@settings(derandomize=True, deadline=None, max_examples=100)
def test_views_and_units_of_any_network_cover_every_weight_once(widths, unit, block, rows):
    architecture = Architecture(widths)
    flat, count = np.arange(architecture.size), np.zeros(architecture.size, int)
    np.testing.assert_array_equal(np.concatenate([part.ravel() for pair in architecture.views(flat) for part in pair]),
                                  flat)
    ws = architecture.workspace(rows, np.float32, unit=unit, block=block)
    for depth, k, k_end, start in ws.units:
        n = widths[depth + 1]
        biases = n if k_end == widths[depth] else 0
        count[start + k * n:start + k_end * n + biases] += 1
        assert 0 <= k < k_end <= widths[depth]
        assert k % 8 == 0 or widths[depth] < 8 * np.sum(ws.units[:, 0] == depth)  # whole blocks of a product
    assert np.all(count == 1)
    assert len(ws.dlog_noise) * block >= rows > (len(ws.dlog_noise) - 1) * block
    assert len(ws.parts) >= max(len(ws.units), len(ws.dlog_noise)) and ws.outputs.size == rows * sum(widths[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_of_training_begin_at_a_line_of_the_cache(dtype):
    for n in (0, 1, 67):
        zeros = aligned_zeros(n, dtype)
        assert zeros.shape == (n,) and zeros.dtype == dtype and not zeros.any()
        assert n == 0 or zeros.ctypes.data % 64 == 0
    ws = Architecture((3, 5, 2)).workspace(4, dtype)
    mu = np.arange(32, dtype=dtype)
    state = State.initial(mu, mu - 5, np.zeros(1), True)
    np.testing.assert_array_equal(state.theta, np.concatenate([mu, mu - 5, [0]]))
    for vector in (ws.w, ws.eps, ws.outputs, ws.doutputs, state.theta, state.first, state.second, state.average):
        assert vector.dtype == dtype and vector.ctypes.data % 64 == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_views_share_memory(dtype):
    flat = np.zeros(32, dtype)
    (w1, b1), (w2, b2) = Architecture((3, 5, 2)).views(flat)
    w1[1, 2], b1[4], w2[4, 0], b2[1] = 1, 2, 3, 4
    assert {index: flat[index] for index in np.flatnonzero(flat)} == {7: 1, 19: 2, 28: 3, 31: 4}


@pytest.mark.parametrize("activation, gain", [("relu", 2), ("tanh", 1), ("sigmoid", 1)])
def test_initial_weights_have_variance_gain_over_inputs_in_every_layer(activation, gain):
    architecture = Architecture((30, 50, 40, 20), activation)
    for w, b in architecture.views(architecture.initial_mu(3)):
        z = w.ravel() * np.sqrt(w.shape[0] / gain)
        assert abs(z.mean()) * np.sqrt(z.size) < 5
        assert abs(np.mean(z**2) - 1) * np.sqrt(z.size / 2) < 5
        assert not b.any()


def test_initial_mu_is_a_function_of_the_seed_and_not_the_noise_of_training():
    architecture = Architecture((2, 4, 1))
    mu = architecture.initial_mu(1)
    assert mu.dtype == np.float64
    np.testing.assert_array_equal(mu, architecture.initial_mu(1))
    assert np.all((mu != architecture.initial_mu(2)) | (mu == 0))
    np.testing.assert_allclose(architecture.initial_mu(1, np.float32), mu, rtol=1e-6)
    assert architecture.initial_mu(1, np.float32).dtype == np.float32
    assert not np.isclose(mu[:8], weight_noise(Key(1), 0, 8)).any()


def test_widths_become_a_tuple_of_int_so_that_equal_networks_are_equal():
    architecture = Architecture([3, np.int64(5), 2])
    assert architecture == Architecture((3, 5, 2))
    assert hash(architecture) == hash(Architecture((3, 5, 2)))
    assert architecture.widths == (3, 5, 2)
    assert set(map(type, architecture.widths)) == {int}


def test_kernels_get_widths_and_activation():
    codes = {name: Architecture((3, 2), name).network.activation for name in ("relu", "tanh", "sigmoid")}
    assert len(set(codes.values())) == 3
    np.testing.assert_array_equal(Architecture((3, 5, 2)).network.widths, [3, 5, 2])


@pytest.mark.parametrize("widths, message", [
    ((), "widths=.* must be a tuple: number of inputs"),
    ((3,), "widths=.* must be a tuple: number of inputs"),
    ((3, 0, 1), "widths=0 must be an integer of at least 1"),
    ((3, -2, 1), "widths=-2 must be an integer of at least 1"),
    ((3, 2.0, 1), "widths=2.0 must be an integer of at least 1"),
    ((True, 1), "widths=True must be an integer"),
    (("3", 1), "widths='3' must be an integer"),
    (5, "widths=5 must be a tuple"),
])
def test_bad_widths_are_named(widths, message):
    with pytest.raises(ValueError, match=message):
        Architecture(widths)


def test_unknown_activation_lists_the_known():
    with pytest.raises(ValueError, match="activation='swish' is unknown; choose one of 'relu', 'tanh', 'sigmoid'"):
        Architecture((3, 1), "swish")


def test_room_for_a_second_product_is_there_only_when_asked_for():
    plain, dropped, second = (Architecture((3, 5, 2)).workspace(4, np.float32, weight_noise=name)
                              for name in ("weights", "dropout", "local"))
    assert (plain.spread.size, plain.second_inputs, plain.slopes) == (0, None, None)
    assert (dropped.spread.size, dropped.second_inputs.size, dropped.slopes) == (0, 4 * 8, None)
    for name, size in (("spread", 32), ("second_inputs", 4 * 8), ("slopes", 4 * 7)):
        assert getattr(second, name).shape == (size,) and getattr(second, name).dtype == np.float32


@pytest.mark.parametrize("pieces, message", [
    ({"tile": 0}, "tile=0 must be an integer of at least 1"), ({"unit": 0}, "unit=0"), ({"block": 0}, "block=0"),
    ({"columns": -1}, "columns=-1")], ids=str)
def test_pieces_that_cannot_be_are_named(pieces, message):
    with pytest.raises(ValueError, match=message):
        Architecture((3, 5, 2)).workspace(4, np.float32, **pieces)
