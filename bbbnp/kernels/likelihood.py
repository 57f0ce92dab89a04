"""Log-likelihood of the targets given the network's outputs, and the gradient of its negative (E8, E9).

Targets are a matrix y of shape (B, T) whatever the likelihood; a class is its index, in column 0. The outputs have O
columns: T (Gaussian, Bernoulli), 2 T (Gaussian with input-dependent noise: T means, then T log deviations) or the
number of classes C. Every backward is the gradient of the loss, minus log P(y | out).
"""

from bbbnp.kernels._jit import kernel
from bbbnp.kernels.posterior import logistic, softplus
from bbbnp.kernels.vectormath import HALF, HALF_LOG_2PI, ONE, TWO, exp, log_sum_exp

GAUSSIAN, GAUSSIAN_INPUT, CATEGORICAL, BERNOULLI = range(4)


@kernel(inline=True)
def gaussian(f, y, log_noise):
    """Gaussian log-likelihood of one target, less the constant -log(2 pi)/2 (E8).

    log N(y; f, noise^2) + log(2 pi)/2 = -log noise - ((y - f)/noise)^2/2
    """
    z = (y - f) * exp(-log_noise)
    return -log_noise - HALF * z * z  # E8


@kernel(inline=True)
def gaussian_backward(f, y, log_noise):
    """Gradient of -log N(y; f, noise^2) in the mean and in the log deviation (E8).

    df = -(y - f)/noise^2,  dlog_noise = 1 - ((y - f)/noise)^2
    """
    inverse = exp(-log_noise)
    z = (y - f) * inverse
    return -z * inverse, ONE - z * z


@kernel(borrows=True)
def categorical(out, label):
    """Log-probability of a class under the softmax of the outputs, shape (C,) (E9).

    log P(label) = out[label] - log sum_c exp(out[c])
    """
    return out[label] - log_sum_exp(out)  # E9


@kernel(borrows=True)
def softmax(p, out):
    """Fill `p` with the class probabilities of the outputs, both of shape (C,) (E9).

    p[c] = exp(out[c])/sum_k exp(out[k])
    """
    total = log_sum_exp(out)
    for c in range(out.size):
        p[c] = exp(out[c] - total)


@kernel(borrows=True)
def softmax_rows(p, out):
    """Fill `p` with the class probabilities of every row of outputs, both of shape (R, C) (E9)."""
    for n in range(out.shape[0]):
        softmax(p[n], out[n])


@kernel(borrows=True)
def categorical_backward(dout, out, label):
    """Fill `dout`, shape (C,), with the gradient of -log P(label) (E9).

    dout = softmax(out) - onehot(label)
    """
    softmax(dout, out)
    dout[label] -= ONE


@kernel(inline=True)
def bernoulli(f, y):
    """Log-probability of y in {0, 1} when f is the log-odds of 1 (E9).

    log P(y) = y f - softplus(f) = -softplus((1 - 2 y) f)
    """
    return -softplus((ONE - TWO * y) * f)  # E9


@kernel(inline=True)
def bernoulli_backward(f, y):
    """Gradient of -log P(y) in the log-odds (E9).

    df = s(f) - y
    """
    return logistic(f) - y


@kernel
def log_likelihood(rows, likelihood, out, y, log_noise):
    """Fill `rows`, shape (B,), with log P(y_n | out_n), and return their sum in float64 (E8, E9).

    Parameters
    ----------
    rows : ndarray, shape (B,)
    likelihood : int
        A code of this module.
    out : ndarray, shape (B, O)
    y : ndarray, shape (B, T)
    log_noise : ndarray, shape (T,)
        Read by the Gaussian likelihood with one deviation a target, fixed or learned.
    """
    total, targets = 0.0, y.shape[1]
    if likelihood == GAUSSIAN:
        for n in range(y.shape[0]):
            rows[n] = 0
        for t in range(targets):
            log_deviation = log_noise[t]  # a number that no store can change: its exponential is taken once
            for n in range(y.shape[0]):
                term = gaussian(out[n, t], y[n, t], log_deviation) - HALF_LOG_2PI
                rows[n] += term
                total += term
        return total
    for n in range(y.shape[0]):
        row = 0.0
        if likelihood == CATEGORICAL:
            row = float(categorical(out[n], int(y[n, 0])))
        else:
            for t in range(targets):
                if likelihood == GAUSSIAN_INPUT:
                    row += gaussian(out[n, t], y[n, t], out[n, targets + t]) - HALF_LOG_2PI
                else:
                    row += bernoulli(out[n, t], y[n, t])
        rows[n] = row
        total += row
    return total


@kernel
def log_likelihood_backward(dout, dlog_noise, likelihood, out, y, log_noise):
    """Gradient of -sum_n log P(y_n | out_n): fill `dout`, and add to `dlog_noise` (E8, E9).

    Shapes: dout (B, O) as out, dlog_noise (T,) as log_noise; the latter is untouched by the other likelihoods.
    """
    targets = y.shape[1]
    if likelihood == GAUSSIAN:
        for t in range(targets):
            log_deviation, total = log_noise[t], dlog_noise[t]
            for n in range(y.shape[0]):
                dout[n, t], dnoise = gaussian_backward(out[n, t], y[n, t], log_deviation)
                total += dnoise
            dlog_noise[t] = total
        return
    for n in range(y.shape[0]):
        if likelihood == CATEGORICAL:
            categorical_backward(dout[n], out[n], int(y[n, 0]))
        else:
            for t in range(targets):
                if likelihood == GAUSSIAN_INPUT:
                    dout[n, t], dout[n, targets + t] = gaussian_backward(out[n, t], y[n, t], out[n, targets + t])
                else:
                    dout[n, t] = bernoulli_backward(out[n, t], y[n, t])
