"""Activations, forward in place and backward from their own output (E11).

Where a choice leaves an entry as it is, the compiler stores only the others, which AVX2 does slowly; hence relu and its
backward are arithmetic, without such a choice.
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import logistic
from bbbnp.kernels.vectormath import ONE, ZERO, tanh

RELU, TANH, SIGMOID = range(3)


@kernel(inline=True)
def relu(x):
    """y = max(x, 0) = x - min(x, 0), and NaN at -inf, where a sum has overflowed (E11)."""
    return x - min(x, ZERO)  # E11


@kernel(inline=True)
def relu_backward(dy, y):
    """Chain rule through y = max(x, 0): dx = dy where y > 0 (E11)."""
    return dy * (ONE if y > ZERO else ZERO)


@kernel(inline=True)
def tanh_backward(dy, y):
    """Chain rule through y = tanh(x): dx = dy (1 - y^2) (E11)."""
    return dy * (ONE - y * y)


@kernel(inline=True)
def sigmoid_backward(dy, y):
    """Chain rule through y = s(x): dx = dy y (1 - y) (E11)."""
    return dy * y * (ONE - y)


@kernel
def activation_forward(x, activation):
    """Replace `x`, any contiguous shape, by f(x), f chosen by its code (E11).

    relu: max(x, 0),  tanh: tanh(x),  sigmoid: s(x) = 1/(1 + exp(-x))
    """
    flat = x.ravel()
    if activation == RELU:
        for i in range(flat.size):
            flat[i] = relu(flat[i])
    elif activation == TANH:
        for i in range(flat.size):
            flat[i] = tanh(flat[i])
    else:
        for i in range(flat.size):
            flat[i] = logistic(flat[i])


@kernel
def activation_backward(dy, y, activation):
    """Replace `dy` by the gradient before y = f(x), of the same shape (E11)."""
    dflat, flat = dy.ravel(), y.ravel()
    if activation == RELU:
        for i in range(flat.size):
            dflat[i] = relu_backward(dflat[i], flat[i])
    elif activation == TANH:
        for i in range(flat.size):
            dflat[i] = tanh_backward(dflat[i], flat[i])
    else:
        for i in range(flat.size):
            dflat[i] = sigmoid_backward(dflat[i], flat[i])
