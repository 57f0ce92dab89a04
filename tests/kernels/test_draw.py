"""What one draw is: pairs of opposite noise, and noise of units that is found by example, layer and unit alone."""

import numpy as np
import pytest

from bbbnp import Objective, reference
from bbbnp.kernels import noise
from bbbnp.kernels.draw import DROPOUT, Draw, draw_of, normals, paired, unit_index, unit_kept, unit_normals, unit_signs

WIDTHS = np.array([5, 9, 130, 2])  # none a multiple of four
EXAMPLES = 3


@pytest.mark.E23
def test_pairs_have_the_same_noise_with_the_other_sign(dtype):
    assert [paired(draw, True) for draw in range(4)] == [(0, 1), (0, -1), (2, 1), (2, -1)]
    assert [paired(draw, False) for draw in range(3)] == [(0, 1), (1, 1), (2, 1)]
    z = np.empty((3, 9), dtype)
    for row, (number, sign) in zip(z, ((2, 1), (2, -1), (4, 1))):
        normals(row, noise.WEIGHTS, Draw(0, 5, 6, number, sign), 4)
    plain = np.empty(9, dtype)
    noise.normals(plain, 5, noise.WEIGHTS, 6, 2, 4)
    np.testing.assert_array_equal(z[0], plain)
    np.testing.assert_array_equal(z[1], -z[0])
    assert not np.isin(z[2], z[0]).any()
    np.testing.assert_array_equal(reference.antithetic(z[::2]), [z[0], -z[0], z[2], -z[2]])


def test_draw_of_has_the_fields_of_a_draw_in_their_order():
    objective = Objective(draws=0, dropout=(0.25, 0.75)).for_kernels
    draw = Draw(*draw_of(objective, 7, 8, 3))
    assert draw == (DROPOUT, 7, 8, 3, 1, noise.DROPOUT, 0.25, 0.75)
    assert (draw.drop_inputs, draw.drop_hidden, draw.stream) == (0.25, 0.75, noise.DROPOUT)
    assert Draw(*draw_of(Objective(draws=4, antithetic=True).for_kernels, 7, 8, 3))[:5] == (0, 7, 8, 2, -1)


@pytest.mark.parametrize("whole", [noise.BLOCK_OF_NORMALS, noise.BLOCK_OF_SIGNS])
def test_no_two_units_of_a_minibatch_have_an_index_in_common(whole):
    starts = [(unit_index(WIDTHS, boundary, example, whole), width)
              for example in range(EXAMPLES) for boundary, width in enumerate(WIDTHS)]
    indices = np.concatenate([np.arange(start, start + width) for start, width in starts])
    assert len(np.unique(indices)) == indices.size == EXAMPLES * WIDTHS.sum()
    assert all(start % whole == 0 for start, _ in starts)  # the rule of `noise`
    assert all(later - start < width + whole for (start, width), (later, _) in zip(starts, starts[1:]))  # none wasted
    assert unit_index(np.array([whole, 1]), 1, 0, whole) == whole  # nor where a width is a multiple


@pytest.mark.E25
def test_units_kept_are_those_at_their_index():
    assert Draw(DROPOUT, 5, 6, 7, 1)[-2:] == (0, 0)  # keep all, unless said
    draw, z, flat = Draw(DROPOUT, 5, 6, 7, 1), np.empty(130), np.empty(1200)
    noise.kept(flat, 0.4, 5, noise.DROPOUT, 6, 7)
    for example in range(EXAMPLES):
        unit_kept(z, 0.4, WIDTHS, 2, example, draw)
        start = unit_index(WIDTHS, 2, example, noise.BLOCK_OF_NORMALS)
        np.testing.assert_array_equal(z, flat[start:start + 130])


@pytest.mark.E16
@pytest.mark.E22
@pytest.mark.E25
@pytest.mark.parametrize("fill", [
    lambda z, *place: unit_normals(z, *place), lambda z, *place: unit_signs(z, noise.INPUT_SIGNS, *place),
    lambda z, *place: unit_kept(z, 0.5, *place)], ids=["normals", "signs", "kept"])
def test_noise_of_units_differs_by_example_layer_step_and_draw(fill):
    draw = Draw(DROPOUT, 5, 6, 7, 1)
    places = [(WIDTHS, 2, 0, draw), (WIDTHS, 2, 1, draw), (WIDTHS, 1, 0, draw), (WIDTHS, 2, 0, draw._replace(step=7)),
              (WIDTHS, 2, 0, draw._replace(number=8)), (WIDTHS, 2, 0, draw._replace(seed=6))]
    z = np.empty((len(places), 130))
    for row, place in zip(z, places):
        fill(row, *place)
    assert len(np.unique(z, axis=0)) == len(places)
    again = np.empty(130)
    fill(again, *places[0])
    np.testing.assert_array_equal(again, z[0])
