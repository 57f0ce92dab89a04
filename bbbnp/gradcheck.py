"""Finite differences against every hand-written gradient, with a report that names the worst entry.

Numerical derivatives are Ridders' (1982): central differences at shrinking steps, extrapolated to step zero until the
estimate of the error grows. The error of an entry is |numeric - g|/(|g| + RMS of its block), a block being the
weights or the biases of one layer, in mu or in rho: a small entry is measured beside its neighbours, never beside a
larger layer.
"""

from typing import NamedTuple

import numpy as np

TOLERANCE = 1e-7
SHRINK, LEAST_STEPS, MOST_STEPS = 1.4, 5, 12


class Row(NamedTuple):
    """One line of the report: the worst relative error of one gradient, the entry that has it, and for the training
    path the build of the hot loop."""

    what: str
    equation: str
    size: int
    worst: float
    entry: str
    build: str = ""


def ridders(f, x, step, same_branch=None):
    """Derivative of a scalar function at `x` by Ridders' method (Numerical Recipes, section 5.7).

    Parameters
    ----------
    f : callable
        Of one float.
    x : float
    step : float
        First step; near the scale on which f bends.
    same_branch : callable, optional
        Of one float: whether `f` is there on the smooth piece of `x` (no ReLU changed its sign). A stencil with a
        point on another piece is left out and the step shrunk.

    Returns
    -------
    float

    Raises
    ------
    ArithmeticError
        If no step down to 1e-9 of the first stays on the piece.
    """
    h, smallest = step, step * 1e-9
    while same_branch is not None and not (same_branch(x + h) and same_branch(x - h)):
        h /= 2
        if h < smallest:
            raise ArithmeticError(f"a kink of the function lies closer to {x} than {smallest:g}")
    previous, best, error = [], np.nan, np.inf
    for i in range(MOST_STEPS):
        estimates = [(f(x + h) - f(x - h)) / (2 * h)]
        for k, coarser in enumerate(previous, start=1):
            weight = SHRINK ** (2 * k)
            estimates.append((weight * estimates[-1] - coarser) / (weight - 1))
            difference = max(abs(estimates[-1] - estimates[-2]), abs(estimates[-1] - coarser))
            if difference <= error and k > 1:  # one extrapolation alone can agree by accident, where f''' is near 0
                error, best = difference, estimates[-1]
        if i >= LEAST_STEPS and abs(estimates[-1] - previous[-1]) >= 2 * error:
            break  # rounding has taken over
        previous, h = estimates, h / SHRINK
    return best


def numerical_gradient(f, x, step, same_branch=None):
    """Gradient of a scalar function of a vector, coordinate by coordinate (see `ridders`).

    Parameters
    ----------
    f, same_branch : callable
        Of a vector like `x`.
    x : ndarray, shape (n,), float64
    step : float

    Returns
    -------
    ndarray, shape (n,)
    """
    def along(function, j):
        def moved(value):
            z = x.copy()
            z[j] = value
            return function(z)
        return moved if function is not None else None

    return np.array([ridders(along(f, j), x[j], step, along(same_branch, j)) for j in range(x.size)])


def complex_step_gradient(f, x):
    """Gradient of an analytic function written for complex numbers: Im f(x + i h e_j)/h, exact to rounding.

    Parameters
    ----------
    f : callable
        Of a complex vector like `x`.
    x : ndarray, shape (n,), float64

    Returns
    -------
    ndarray, shape (n,)
    """
    return np.array([f(x + 1e-30j * unit).imag / 1e-30 for unit in np.eye(x.size)])


def worst_entry(g, numeric, blocks=None):
    """The largest relative error between a gradient and its numerical twin, and where it is.

    Parameters
    ----------
    g, numeric : ndarray, shape (n,)
    blocks : list of (str, int), optional
        Names and sizes of consecutive blocks; one block "x" if left out.

    Returns
    -------
    float, str
        |numeric - g|/(|g| + RMS of g in its block), infinite for what is not finite; and the entry, as "name[index]".
    """
    worst, entry, start = -1.0, "", 0
    for name, size in blocks or [("x", g.size)]:
        a, b = g[start:start + size], numeric[start:start + size]
        scale = np.abs(a) + np.sqrt(np.mean(a**2))
        error = np.abs(b - a) / np.where(scale > 0, scale, 1)
        error[~np.isfinite(error)] = np.inf
        if error.max() > worst:
            worst, entry = float(error.max()), f"{name}[{error.argmax()}]"
        start += size
    return worst, entry


def table(rows):
    """The report as text, one line a row, a mark before each that exceeds the tolerance."""
    width = max(len(row.what) for row in rows)
    lines = [f"  {'what':{width}}  {'equation':8}  {'build':8}  {'size':>5}  {'worst':>8}  entry"]
    for row in rows:
        mark = " " if row.worst <= TOLERANCE else "!"
        lines.append(f"{mark} {row.what:{width}}  {row.equation:8}  {row.build:8}  {row.size:5d}  {row.worst:8.1e}  "
                     f"{row.entry}")
    return "\n".join(lines)
