"""Exercises of lecture 05: the dense layer backward, activations, a gradient checker, a planted bug to find."""

import numpy as np

from bbbnp import reference
from bbbnp.course.exercise import Exercise, Wrong
from bbbnp.gradcheck import numerical_gradient


def _layers(rng):
    """dy, x and W of a layer of 3 inputs and 5 outputs for 4 examples, and of another."""
    return [tuple(rng.normal(size=shape) for shape in ((b, n), (b, k), (k, n))) for b, k, n in ((4, 3, 5), (2, 4, 3))]


def dense_backward(dy, x, w):
    """dx = dy W^T, dW = x^T dy, db = sum_n dy_n (E10)."""
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def _dense_numeric(dy, x, w):
    """By finite differences of sum dy (x W + b), which has dy as its gradient in the outputs."""
    def along(value, z):
        return numerical_gradient(lambda flat: np.sum(dy * value(flat.reshape(z.shape))), z.ravel(), 0.1).reshape(
            z.shape)
    return along(lambda z: z @ w, x), along(lambda z: x @ z, w), along(lambda z: x @ w + z, np.zeros(w.shape[1]))


E10 = Exercise(
    "E10", "dense_backward", ("E10",), ("dx", "dW", "db"), _layers, dense_backward, (
        Wrong("W was reshaped where it must be transposed: the shapes fit and the numbers do not.",
              lambda dy, x, w: (dy @ w.reshape(w.shape[::-1]), x.T @ dy, dy.sum(axis=0))),
        Wrong("dW is a mean over the examples here; it is their sum, since the log-likelihood is one.",
              lambda dy, x, w: (dy @ w.T, x.T @ dy / len(x), dy.sum(axis=0))),
        Wrong("db is a mean over the examples here; each example adds its dy.",
              lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.mean(axis=0))),
        Wrong("both dW and db are means over the examples: the data then count for one example.",
              lambda dy, x, w: (dy @ w.T, x.T @ dy / len(x), dy.mean(axis=0)), 2),
        Wrong("db is that of the first example alone.",
              lambda dy, x, w: (dy @ w.T, x.T @ dy, dy[0])),
        Wrong("the bias has no gradient here: it is a parameter as every weight is.",
              lambda dy, x, w: (dy @ w.T, x.T @ dy, np.zeros(w.shape[1])), 23),
        Wrong("the layer below gets no gradient: dx is zero, and nothing before this layer learns.",
              lambda dy, x, w: (np.zeros_like(x), x.T @ dy, dy.sum(axis=0)), 11)),
    numeric=_dense_numeric)


def _activations(rng):
    """dh, h and the name; for relu half of the units are off, at exactly zero."""
    x = rng.normal(size=(4, 3))
    return [(rng.normal(size=(4, 3)), reference.activation(x, name), name) for name in ("relu", "tanh", "sigmoid")]


def _with(**changed):
    """activation_backward with another rule for some of the names."""
    return lambda dh, h, name: (changed[name](dh, h) if name in changed
                                else reference.activation_backward(dh, h, name))


E11 = Exercise(
    "E11", "activation_backward", ("E11",), ("dx",), _activations, reference.activation_backward, (
        Wrong("tanh was applied once more: h is tanh(x) already, so the slope is 1 - h^2.",
              _with(tanh=lambda dh, h: dh * (1 - np.tanh(h)**2))),
        Wrong("the logistic function was applied once more: h is s(x) already, so the slope is h (1 - h).",
              _with(sigmoid=lambda dh, h: dh / (1 + np.exp(-h)) / (1 + np.exp(h)))),
        Wrong("a unit that is off, h = 0, passes its gradient on here: [h > 0], not [h >= 0].",
              _with(relu=lambda dh, h: dh * (h >= 0))),
        Wrong("for relu you asked where dh is positive; what counts is where h is.",
              _with(relu=lambda dh, h: dh * (dh > 0))),
        Wrong("the slope is missing the incoming gradient dh.",
              lambda dh, h, name: reference.activation_backward(np.ones_like(dh), h, name)),
        Wrong("this compares a function with itself: the gradient is passed on unchanged.",
              lambda dh, h, name: dh, 22)))


def _functions(_):
    """Smooth functions of a vector, a point and a step."""
    return [(lambda z: np.sin(z[0]) * z[1]**3 + z[2], np.array([0.4, 1.3, -2.0]), 1e-3),
            (lambda z: np.exp(z).sum() * z[0], np.array([0.2, -0.5]), 1e-2)]


def central_difference(f, x, h):
    """(f(x + h e_j) - f(x - h e_j))/(2 h) for each coordinate j."""
    return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.size)])


def _forgetful(f, x, h):
    """Moves each coordinate and leaves it moved."""
    x, g = x.copy(), []
    for j in range(x.size):
        x[j] += h
        high = f(x)
        x[j] -= 2 * h
        g.append((high - f(x)) / (2 * h))
    return np.array(g)


checker = Exercise(
    "checker", "central_difference", ("E10", "E11"), ("g",), _functions, central_difference, (
        Wrong("this is a forward difference: its error falls with h, that of a central one with h^2.",
              lambda f, x, h: np.array([(f(x + h * e) - f(x)) / h for e in np.eye(x.size)])),
        Wrong("the two points are 2 h apart, not h.", lambda f, x, h: 2 * central_difference(f, x, h)),
        Wrong("all coordinates move at once: that is one directional derivative, not a gradient.",
              lambda f, x, h: np.full(x.size, (f(x + h) - f(x - h)) / (2 * h))),
        Wrong("a coordinate is not put back before the next one moves.", _forgetful)),
    tolerance=1e-8)


def broken_backward(dy, w1, b1, w2, b2, x):
    """Gradients of a network with one tanh layer, with a mistake in one numbered line."""
    z = x @ w1 + b1
    h = np.tanh(z)
    dw2 = h.T @ dy               # line 1
    db2 = dy.sum(axis=0)         # line 2
    dh = dy @ w2.T               # line 3
    dz = dh * (1 - z**2)         # line 4
    dw1 = x.T @ dz               # line 5
    db1 = dz.sum(axis=0)         # line 6
    return dw1, db1, dw2, db2


bug = Exercise(
    "bug", "find_bug", ("E10", "E11"), ("the line",), lambda _: [()], lambda: 4, tuple(
        Wrong(sentence, lambda line=line: line) for line, sentence in (
            (1, "line 1 is right: finite differences agree with dw2."),
            (2, "line 2 is right: finite differences agree with db2."),
            (3, "line 3 is right: look at what becomes of dh next."),
            (5, "line 5 is right, but what it is given is wrong already."),
            (6, "line 6 is right, but what it is given is wrong already."))))
EXERCISES = (E10, E11, checker, bug)
