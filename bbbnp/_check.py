"""Checks of what people pass: each error names the argument, the value and the fix."""

import numbers

import numpy as np


LARGEST = 2**63 - 1


def integer(name, value, *, least, most=LARGEST):
    """`value` as an int, or a ValueError."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= value <= most:
        bounded = most < LARGEST or isinstance(value, numbers.Integral) and value > most
        bound = f"from {least} to {most}" if bounded else f"of at least {least}"
        raise ValueError(f"{name}={value!r} must be an integer {bound}")
    return int(value)


def real(name, value, *, above=-np.inf, below=np.inf, least=-np.inf, most=np.inf):
    """`value` as a finite float within open or closed bounds, or a ValueError."""
    good = isinstance(value, numbers.Real) and not isinstance(value, bool) and np.isfinite(value)
    if not good or not above < value < below or not least <= value <= most:
        limits = {"greater than": above, "less than": below, "at least": least, "at most": most}
        bounds = [f", {text} {limit:g}" for text, limit in limits.items() if np.isfinite(limit)]
        raise ValueError(f"{name}={value!r} must be a finite number" + "".join(bounds))
    return float(value)


def boolean(name, value):
    """`value` as a bool, or a ValueError."""
    if not isinstance(value, (bool, np.bool_)):
        raise ValueError(f"{name}={value!r} must be True or False")
    return bool(value)


def one_of(name, value, known):
    """`value` if it is one of the known names, or a ValueError that lists them."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(map(repr, known))}")
    return value


def matrix(name, value, dtype, *, columns=None):
    """`value` as a C-contiguous matrix (N, columns) of finite numbers, or a ValueError."""
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {array.dtype}; it must hold numbers: encode text and objects first")
    if array.ndim != 2:
        hint = f"; use {name}.reshape(-1, 1) for one column" if array.ndim == 1 else ""
        if array.ndim == 1 and columns == array.size > 1:
            hint = f"; use {name}.reshape(1, -1) for one example"
        raise ValueError(f"{name} has shape {array.shape}; it must be a matrix (examples, columns){hint}")
    if 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}: it is empty")
    if columns is not None and array.shape[1] != columns:
        raise ValueError(f"{name} has {array.shape[1]} columns, but {columns} are expected")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(f"{name} holds {array[row, column]} at row {row}, column {column}: "
                         "remove or impute missing and infinite values")
    return np.require(array, dtype, ["C", "W"])  # a read-only array is another type to compiled code


def pruned(mu, rho):
    """A ValueError if a pruned weight, rho = -inf, still has a mean."""
    if (mu[np.isneginf(rho)] != 0).any():
        raise ValueError("rho is -inf, which prunes a weight, where mu is not zero: set mu to 0 there")


def same_length(x, y, x_name="X", y_name="y"):
    """A ValueError if `x` and `y` differ in length."""
    if len(x) != len(y):
        raise ValueError(f"{x_name} has {len(x)} rows and {y_name} has {len(y)}: they must be the same examples")
