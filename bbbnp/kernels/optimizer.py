"""SGD, momentum and Adam on flat vectors; schedules as functions of the step; averaged iterates (E17)."""

import math
from typing import NamedTuple

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.vectormath import reciprocal

SGD, MOMENTUM, ADAM = range(3)
CONSTANT, COSINE, INVERSE_TIME = range(3)
FLOOR = 0.01  # the cosine ends at this part of the learning rate, so that training can go on past its horizon


class Optimizer(NamedTuple):
    """Rule and schedule as codes of this module; `horizon` in steps; beta1 is also the momentum."""

    rule: int
    learning_rate: float
    schedule: int
    horizon: float
    beta1: float
    beta2: float
    epsilon: float


@kernel
def scheduled_rate(optimizer, step):
    """Learning rate at a step, 0-based (E17).

    constant: lr,  cosine: lr (c + (1 - c)(1 + cos(pi t/H))/2) with c = 0.01,  1/t: lr/(1 + t/H)
    """
    time = step / optimizer.horizon
    if optimizer.schedule == COSINE:
        return optimizer.learning_rate * (FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(time, 1.0))))  # E17
    if optimizer.schedule == INVERSE_TIME:
        return optimizer.learning_rate / (1 + time)
    return optimizer.learning_rate


@kernel
def sgd_update(x, dx, rate):
    """Gradient descent, in place (E17).

    x <- x - lr dx
    """
    for j in range(x.size):
        x[j] -= rate * dx[j]  # E17


@kernel
def momentum_update(x, dx, velocity, rate, beta1):
    """Heavy-ball momentum, in place (E17).

    v <- beta1 v + dx,  x <- x - lr v
    """
    for j in range(x.size):
        velocity[j] = beta1 * velocity[j] + dx[j]
        x[j] -= rate * velocity[j]  # E17


@kernel(inline=True)
def adam(x, dx, m, v, factors):
    """A parameter and its two moments after a step of Adam (Kingma and Ba 2015; E17).

    m <- beta1 m + (1 - beta1) dx,  v <- beta2 v + (1 - beta2) dx^2,  x <- x - lr m_hat/(sqrt(v_hat) + epsilon)

    `factors` are those of `adam_factors`.
    """
    rate, beta1, rest1, beta2, rest2, epsilon = factors
    m = beta1 * m + rest1 * dx
    v = beta2 * v + rest2 * (dx * dx)
    return x - rate * m * reciprocal(math.sqrt(v) + epsilon), m, v  # E17


@kernel(inline=True)
def adam_factors(x, optimizer):
    """(rate, beta1, 1 - beta1, beta2, 1 - beta2, epsilon) of an optimiser as it is `at_step`, in the precision of x."""
    cast, beta1, beta2 = x.dtype.type, optimizer.beta1, optimizer.beta2
    return (cast(optimizer.learning_rate), cast(beta1), cast(1 - beta1), cast(beta2), cast(1 - beta2),
            cast(optimizer.epsilon))


@kernel(inline=True)
def recording(x):
    """Factors with which `adam` leaves the gradient in the place of its first moment, and x, of a gradient whose square
    is finite, as it is."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    return zero, zero, one, zero, zero, one


@kernel
def adam_update(x, dx, first, second, factors):
    """Adam, in place (E17)."""
    for j in range(x.size):
        x[j], first[j], second[j] = adam(x[j], dx[j], first[j], second[j], factors)


@kernel
def at_step(optimizer, step):
    """The fields of an Optimizer as it is at a step, 0-based: its rate, with Adam's bias corrections taken in (E17).

    rate = lr sqrt(1 - beta2^t)/(1 - beta1^t),  epsilon sqrt(1 - beta2^t),  t = step + 1
    """
    rate, epsilon = scheduled_rate(optimizer, step), optimizer.epsilon
    if optimizer.rule == ADAM:
        correction = math.sqrt(1 - optimizer.beta2 ** (step + 1))
        rate, epsilon = rate * correction / (1 - optimizer.beta1 ** (step + 1)), epsilon * correction  # E17
    return (optimizer.rule, rate, optimizer.schedule, optimizer.horizon, optimizer.beta1, optimizer.beta2, epsilon)


@kernel
def update(x, dx, first, second, optimizer):
    """A step of the chosen rule, as it is `at_step`, on parameters `x`, all vectors of one shape, in place (E17)."""
    cast, rate = x.dtype.type, optimizer.learning_rate
    if optimizer.rule == ADAM:
        adam_update(x, dx, first, second, adam_factors(x, optimizer))
    elif optimizer.rule == MOMENTUM:
        momentum_update(x, dx, first, cast(rate), cast(optimizer.beta1))
    else:
        sgd_update(x, dx, cast(rate))


@kernel
def average_iterates(average, x, count):
    """Running mean of iterates, in place, of which `count` are in it already (Polyak and Juditsky 1992; E17).

    a <- a + (x - a)/(count + 1)
    """
    part = x.dtype.type(1 / (count + 1))
    for j in range(x.size):
        average[j] += part * (x[j] - average[j])  # E17
