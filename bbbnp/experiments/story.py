"""``bbbnp bench --story``: the same training step five times, each as fast as one more idea makes it.

And the products of a step, by our blocks and by BLAS.
"""

import functools
import math
import statistics

import numba
import numpy as np
from threadpoolctl import threadpool_limits

from bbbnp.architecture import TILE, UNIT
from bbbnp.experiments.timing import BATCH, CLASSES, INPUTS, PRIORS, Trainer, in_turn, spread
from bbbnp.kernels import elbo, optimizer
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import block, network_backward, network_backward_weights, network_forward
from bbbnp.kernels.likelihood import CATEGORICAL, log_likelihood, log_likelihood_backward
from bbbnp.kernels.product import by_blas, product

HIDDEN = 1200
SCALES = ((0.5, 1.0), (0.5, math.exp(-6)))  # of the default prior, for `libm_step`, which has it as densities
STEPS = (
    ("libm", "one loop over the weights, exp and log from libm, normals from a generator with a state"),
    ("vectorised", "passes over whole vectors, with functions that become vector instructions"),
    ("tiled", f"update and next draw of {TILE:,} weights after one another, while they are in the cache"),
    ("fused", "a part of dW is used for the update before it leaves the cache"),
    ("threaded", "parts of the weights and columns of the layers given to all threads"))


@kernel
def libm_step(theta, moments, dw, network, x, y, ws):
    """A step as one writes it first: E3 to E7 and E17 weight by weight, in libm's float64."""
    size, rows, w, eps = ws.w.size, x.shape[0], ws.w, ws.eps
    first, second = moments
    value = 0.0
    for j in range(size):
        eps[j] = np.random.standard_normal()
        sigma = math.log(1 + math.exp(theta[size + j]))
        w[j] = theta[j] + sigma * eps[j]
        prior = 0.0
        for weight, scale in SCALES:
            prior += weight / scale * math.exp(-w[j]**2 / (2 * scale**2))
        value += -math.log(sigma) - eps[j]**2 / 2 - math.log(prior)
    out = network_forward(ws.outputs, network, w, x, 0, rows)
    value -= log_likelihood(ws.log_lik, CATEGORICAL, out, y, theta[:0])
    dout = block(ws.doutputs, rows * network.widths[1:-1].sum(), rows, out.shape[1])
    log_likelihood_backward(dout, theta[:0], CATEGORICAL, out, y, theta[:0])
    network_backward(ws.doutputs, network, w, ws.outputs, rows, 0, rows)
    network_backward_weights(dw, network, x, ws.outputs, ws.doutputs)
    for j in range(size):
        prior, slope = 0.0, 0.0
        for weight, scale in SCALES:
            density = weight / scale * math.exp(-w[j]**2 / (2 * scale**2))
            prior, slope = prior + density, slope - density * w[j] / scale**2
        sigma, s = math.log(1 + math.exp(theta[size + j])), 1 / (1 + math.exp(-theta[size + j]))
        g = dw[j] - slope / prior
        for i, d in ((j, g), (size + j, (eps[j] * g - 1 / sigma) * s)):
            first[i] = 0.9 * first[i] + 0.1 * d
            second[i] = 0.999 * second[i] + 0.001 * d * d
            theta[i] -= 0.001 * first[i] / (math.sqrt(second[i]) + 1e-8)
    return value


def contestants(widths):
    """The five, as functions of a number of steps, and the number of steps one call of the last three takes."""
    prior, threads = PRIORS["mixture"], numba.config.NUMBA_NUM_THREADS
    whole = {"block": BATCH, "columns": 1 << 40}  # examples and columns are cut for threads alone
    tiled, fused = (Trainer(widths, prior, threads=1, **whole, **pieces) for pieces in ({"unit": 1 << 40}, {}))
    threaded = Trainer(widths, prior, threads=threads)
    problem, theta, size = tiled.problem, tiled.state.theta.copy(), tiled.size
    x, y, ws = problem.data.batch_x, problem.data.batch_y, problem.ws
    moments, dw = np.zeros((2, theta.size), theta.dtype), np.empty(size, theta.dtype)
    gradient = elbo.Parameters(np.empty(size, "f4"), np.empty(size, "f4"), np.zeros(1, "f4"))

    def libm(times):
        with threadpool_limits(1, user_api="blas"):
            for _ in range(times):
                libm_step(theta, moments, dw, problem.network, x, y, ws)

    def vectorised(times):
        parameters = elbo.Parameters(theta[:size], theta[size:2 * size], theta[2 * size:])
        with threadpool_limits(1, user_api="blas"):
            for step in range(times):
                elbo.free_energy_gradient(gradient, parameters, problem.network, problem.prior, problem.objective,
                                          elbo.Batch(x, y, 1.0), elbo.Key(0, step), ws)
                now = optimizer.Optimizer(*optimizer.at_step(problem.optimizer, step))
                for a, g in ((0, gradient.mu), (size, gradient.rho)):
                    optimizer.update(theta[a:a + size], g, *moments[:, a:a + size], now)

    return {"libm": (libm, 1), "vectorised": (vectorised, 1), "tiled": (tiled.run, tiled.steps),
            "fused": (fused.run, fused.steps), "threaded": (threaded.run, threaded.steps)}, size


def many(multiply):
    """A function that does a product so many times."""
    def run(times, c, a, b):
        for _ in range(times):
            multiply(c, a, b)

    return run


def product_records(rounds):
    """Products like those of a step's pieces, on one core: nanoseconds an entry of W, ours, and BLAS's in turn.

    Half of a layer's outputs, half of the gradient in its inputs, about a unit of dW and a quarter of one, which is
    smaller than any of this network's. Shapes are m x k x n.
    """
    rng, half, unit = np.random.default_rng(0), HIDDEN // 2, UNIT // HIDDEN
    w, h, dy = (rng.standard_normal(size, np.float32) for size in (2 * (HIDDEN,), (BATCH, HIDDEN), (BATCH, HIDDEN)))
    pieces = {"x W": (h, w[:, :half]), "dy W^T": (dy, w[:half].T), "x^T dy": (h[:, :unit].T, dy),
              "x^T dy, fewer rows": (h[:, :unit // 4].T, dy)}
    # compiled code has SciPy's BLAS; as plain Python a product is NumPy's, which may be another
    ways = {"ns": kernel(many(product)), "blas_ns": kernel(many(by_blas)), "numpy_ns": many(product)}
    with threadpool_limits(1, user_api="blas"):
        times = in_turn({(piece, way): functools.partial(function, c=np.empty((len(a), b.shape[1]), "f4"), a=a, b=b)
                         for piece, (a, b) in pieces.items() for way, function in ways.items()}, rounds)
    for piece, (a, b) in pieces.items():
        entries = a.size * b.shape[1] / BATCH
        yield {"piece": piece, "shape": [*a.shape, b.shape[1]],
               **{way: statistics.median(times[piece, way]) / entries * 1e9 for way in ways}}


def run(*, rounds=7):
    """The table's content: for each version nanoseconds a weight, and how many times the one before it takes."""
    functions, size = contestants((INPUTS, HIDDEN, HIDDEN, CLASSES))
    times = in_turn({name: function for name, (function, _) in functions.items()}, rounds)
    records, before = [], None
    for name, what in STEPS:
        cost = [t / functions[name][1] / size * 1e9 for t in times[name]]
        gain = None if before is None else statistics.median(b / c for b, c in zip(before, cost))
        records.append({"version": name, "what": what, "ns_per_weight": statistics.median(cost),
                        "ns_spread": spread(cost), "gain": gain})
        before = cost
    return {"hidden": HIDDEN, "threads": numba.config.NUMBA_NUM_THREADS, "steps": records,
            "products": list(product_records(rounds))}


def table(result):
    """The results as lines of text."""
    return "\n".join([f"{r['version']:11}{r['ns_per_weight']:7.1f} ns a weight, {r['gain'] or 1:4.1f} times as fast: "
                      f"{r['what']}" for r in result["steps"]] + [
        f"{r['piece']:20}{'x'.join(map(str, r['shape'])):>14}{r['ns']:7.2f} ns an entry of W, BLAS {r['blas_ns']:.2f}, "
        f"NumPy's {r['numpy_ns']:.2f}" for r in result["products"]])
