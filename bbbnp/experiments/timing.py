"""What ``bbbnp bench`` times, and how: networks under training and the products of a step, in turn.

In each round every contestant has its turn, and a ratio is the median of the rounds' ratios, so that a machine that
slows down slows all. A turn is run twice, and the second time is taken: at first the caches hold what the contestant
before has left, which a training of minutes hardly notices and a large network's first second does.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from bbbnp import training
from bbbnp.architecture import Architecture
from bbbnp.kernels import hotloop, optimizer
from bbbnp.kernels.elbo import UNIFORM
from bbbnp.objective import GaussianPrior, Objective, ScaleMixture

INPUTS, CLASSES, BATCH = 784, 10, 128
MINIBATCHES = 40  # of the large networks' data
PRIORS = {"mixture": ScaleMixture(), "gaussian": GaussianPrior()}
# widths, batch, examples: the paper's regression (100 points at once) and bandit
SMALL = {"1-100-1": ((1, 100, 1), 100, 100), "119-100-100-1": ((119, 100, 100, 1), 64, 4096)}
SECONDS = 1.0  # that one contestant is timed in one round: what a call costs beside its steps is then small
SETTLE = 0.3  # between two: the workers of a threaded BLAS spin for about 0.1 s after their last product
ADAM = optimizer.Optimizer(optimizer.ADAM, 1e-3, optimizer.CONSTANT, 1.0, 0.9, 0.999, 1e-8)


class Trainer:
    """A network under training on random data, with Adam; `run(epochs)` trains on.

    `settings` are those of an `Objective` beside prior and likelihood; `pieces` those of `Architecture.workspace`.
    """

    def __init__(self, widths, prior, *, batch=None, examples=None, likelihood="categorical", threads=None,
                 settings=None, **pieces):
        batch = batch or BATCH
        examples = examples or MINIBATCHES * batch
        architecture, rng = Architecture(widths), np.random.default_rng(0)
        x = rng.standard_normal((examples, widths[0]), dtype=np.float32)
        y = (rng.integers(widths[-1], size=(examples, 1)) if likelihood == "categorical" else x[:, :1]).astype("f4")
        mu = architecture.initial_mu(0, np.float32)
        self.size, self.steps = architecture.size, -(-examples // batch)
        self.state = training.State.initial(mu, np.full_like(mu, -5), np.zeros(1), False)
        objective = Objective(prior, likelihood, **settings or {})
        self.problem = training.Problem(
            architecture.network, prior.components(np.float32), objective.for_kernels, ADAM,
            hotloop.Data(x, y, np.arange(examples), x[:batch].copy(), y[:batch].copy()),
            hotloop.Plan(batch, UNIFORM, 1.0, False, 1 << 60, hotloop.UPDATE),
            architecture.workspace(batch, np.float32, weight_noise=objective.scratch, **pieces), 0, threads)

    def run(self, epochs):
        """Train so many epochs, of `steps` steps each; Ctrl-C is a KeyboardInterrupt, not a short time."""
        if training.run(self.problem, self.state, self.state.epoch + epochs, progress=False):
            raise KeyboardInterrupt


def shape(network):
    """Widths, batch and number of examples of 784-H-H-10, which goes by its H, or of a small network, by its widths."""
    if network in SMALL:
        return SMALL[network]
    return (INPUTS, int(network), int(network), CLASSES), BATCH, MINIBATCHES * BATCH


def trainer(network, prior):
    """A `Trainer` of a network by its name, with the threads that training gives it."""
    widths, batch, examples = shape(network)
    return Trainer(widths, PRIORS[prior], batch=batch, examples=examples,
                   likelihood="gaussian" if network in SMALL else "categorical")


def products(widths, batch, threads):
    """A function that does the matrix products of one step so many times, with NumPy's BLAS on so many threads.

    x W forward in every layer, x^T dy backward in every layer, dy W^T in every layer but the first.
    """
    rng = np.random.default_rng(0)
    w = [rng.standard_normal((k, n), dtype=np.float32) / k for k, n in zip(widths, widths[1:])]
    dw = [np.empty_like(array) for array in w]
    h = [rng.standard_normal((batch, n), dtype=np.float32) for n in widths]
    dh = [np.empty_like(array) for array in h]

    def run(times):
        with threadpool_limits(threads, user_api="blas"):
            for _ in range(times):
                for i, weight in enumerate(w):
                    np.matmul(h[i], weight, out=h[i + 1])
                dh[-1][:] = h[-1]
                for i in range(len(w) - 1, -1, -1):
                    np.matmul(h[i].T, dh[i + 1], out=dw[i])
                    if i > 0:
                        np.matmul(dh[i + 1], w[i].T, out=dh[i])

    return run


def seconds(function, times):
    """Seconds that one of `times` calls takes."""
    start = time.perf_counter()
    function(times)
    return (time.perf_counter() - start) / times


def in_turn(contestants, rounds):
    """Seconds of each contestant (a function of a number of times) in each round, about SECONDS long, after as long
    without the clock.

    Returns
    -------
    dict of name to list of float
    """
    times = {}
    for name, function in contestants.items():
        function(1)  # compiles, and touches all memory
        times[name] = max(1, round(SECONDS / max(seconds(function, 1), 1e-7)))
        times[name] = max(1, round(SECONDS / max(seconds(function, min(times[name], 100)), 1e-7)))
    result = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, function in contestants.items():
            time.sleep(SETTLE)
            function(times[name])
            result[name].append(seconds(function, times[name]))
    return result


def spread(values):
    """Smallest and largest, rounded."""
    return [round(min(values), 3), round(max(values), 3)]
