"""What `bbbnp gradcheck` checks: kernels (see `gradcheck_kernels`), and the training path in all its combinations.

The path is `free_energy_gradient`, the code that trains, in both builds, cut into small pieces, with the noise fixed by
its key, two draws, a temperature, and layer widths that all differ. `reference.py` is checked by a complex step where
it is analytic.
"""

import itertools

import numba
import numpy as np

from bbbnp import reference
from bbbnp.architecture import ACTIVATIONS, Architecture
from bbbnp.gradcheck import Row, complex_step_gradient, numerical_gradient, worst_entry
from bbbnp.gradcheck_kernels import PRIORS, STEP, TARGETS, data_for, kernel_rows
from bbbnp.kernels import elbo, posterior
from bbbnp.kernels.draw import Draw, draw_of
from bbbnp.objective import (
    ESTIMATOR, FORMS, LIKELIHOODS, MINIBATCH_WEIGHTS, Objective, PLACEMENTS, minibatch_weights, output_width)
from bbbnp.study import Key, free_energy, free_energy_gradient, unit_noise, weight_noise

EQUATION_OF_FORM = {"short": "E13", "paper": "E12"}
BATCH_SIZES = (7, 7, 5)  # of an epoch of three; the second minibatch is the one that is checked
PIECES = {"tile": 8, "block": 3, "columns": 2, "unit": 6}  # smaller than P, the batch, a layer: checked as it is cut
BUILDS = {"plain": 1} if numba.config.DISABLE_JIT else {"serial": 1, "parallel": 2}  # and the threads that ask for them


def path_case(prior_name, likelihood_name, activation_name, weights_name, *, hidden=(4, 5), seed=0, pruned=False,
              **settings):
    """Architecture, mu, rho, x, y, objective and key of one combination, with more settings of the objective.

    Where `pruned`, half of the weights are.
    """
    rng = np.random.default_rng(seed)
    architecture = Architecture((3, *hidden, output_width(likelihood_name, TARGETS)), activation_name)
    mu = architecture.initial_mu(seed) + 0.1 * rng.normal(size=architecture.size)
    rho = -1.5 + rng.normal(size=architecture.size)
    x, y = data_for(rng, likelihood_name, 3, BATCH_SIZES[1])
    gone = rng.permutation(mu.size)[:mu.size // 2 if pruned else 0]
    mu[gone], rho[gone] = 0, -np.inf
    objective = Objective(**{
        "prior": PRIORS[prior_name], "likelihood": likelihood_name, "noise": (0.6, 0.9), "draws": 2, "temperature": 0.7,
        "minibatch_weight": float(minibatch_weights(weights_name, BATCH_SIZES)[1]), **settings})
    return architecture, mu, rho, x, y, objective, Key(seed=seed, step=3)


def _signs(architecture, mu, rho, x, y, objective, key):
    """Sign pattern of all hidden units under every draw: what must not change under a ReLU."""
    ws = architecture.workspace(len(x), mu.dtype, weight_noise=objective.scratch)
    hidden, kernels, patterns = len(x) * sum(architecture.widths[1:-1]), objective.kernels_for(rho), []
    for number in range(max(objective.draws, 1)):
        draw = Draw(*draw_of(kernels, *key, number))
        elbo.forward_draw(ws, elbo.Parameters(mu, rho, objective.log_noise(TARGETS, mu.dtype)), architecture.network,
                          objective.prior.components(mu.dtype), kernels, elbo.Batch(x, y, 1.0), draw)
        patterns.append(ws.outputs[:hidden] > 0)
    return np.concatenate(patterns)


def path_blocks(architecture):
    """Names and sizes of the blocks of [mu, rho]: weights and biases of each layer."""
    return [(f"{parameter} of {kind}{depth}", array.size) for parameter in ("mu", "rho")
            for depth, pair in enumerate(architecture.views(np.zeros(architecture.size)), start=1)
            for kind, array in zip("Wb", pair)]


def path_numeric(architecture, mu, rho, x, y, objective, key):
    """Numerical gradient of the training path's free energy in [mu, rho]; zero in pruned weights, which stay so."""
    theta, left = np.concatenate([mu, rho]), np.tile(np.isfinite(rho), 2)

    def parameters(part):
        moved = theta.copy()
        moved[left] = part
        return np.split(moved, 2)

    def value(part):
        return free_energy(architecture, *parameters(part), x, y, objective=objective, key=key, pieces=PIECES).value

    def same_branch(part):
        return np.array_equal(_signs(architecture, *parameters(part), x, y, objective, key), signs)

    signs = _signs(architecture, mu, rho, x, y, objective, key)
    kinks = same_branch if architecture.activation == "relu" else None
    numeric = np.zeros(theta.size)
    numeric[left] = numerical_gradient(value, theta[left], STEP, kinks)
    return numeric


def noise_numeric(architecture, mu, rho, x, y, objective, key):
    """Numerical gradient in the log deviations of the Gaussian noise."""
    def value(log_noise):
        moved = Objective(objective.prior, objective.likelihood, tuple(np.exp(log_noise)), objective.draws,
                          objective.minibatch_weight, objective.temperature)
        return free_energy(architecture, mu, rho, x, y, objective=moved, key=key).value

    return numerical_gradient(value, np.log(objective.noise), STEP)


def path_gradients(architecture, mu, rho, x, y, objective, key):
    """Name of a build, and the gradient in [mu, rho] and what is learnt of the noise by it, for each build."""
    for build, threads in BUILDS.items():
        result = free_energy_gradient(architecture, mu, rho, x, y, objective=objective, key=key, pieces=PIECES,
                                      threads=threads)
        yield build, np.concatenate([result.dmu, result.drho] + [result.dlog_noise] * (result.dlog_noise is not None))


def path_rows(hidden=(4, 5)):
    """A row for each prior, likelihood, activation, minibatch weight, form of the gradient and build."""
    for names in itertools.product(PRIORS, LIKELIHOODS, ACTIVATIONS, MINIBATCH_WEIGHTS):
        case = path_case(*names, hidden=hidden)
        numeric, blocks = path_numeric(*case), path_blocks(case[0])
        if names[1] == "gaussian_learned":
            numeric = np.concatenate([numeric, noise_numeric(*case)])
            blocks = [*blocks, ("log_noise", TARGETS)]
        for form in FORMS:
            for build, g in path_gradients(*path_case(*names, form=form, hidden=hidden)):
                yield Row(f"training path: {', '.join(names)}", EQUATION_OF_FORM[form], g.size,
                          *worst_entry(g, numeric, blocks), build)


def left_out(architecture, mu, rho, x, y, objective, key):
    """What a path gradient leaves out, in [mu, rho]: kl_weight d log q(w | mu, rho)/d(mu, rho) at the drawn w."""
    total, left = np.zeros((2, mu.size)), np.isfinite(rho)
    for draw in range(objective.draws):
        paired = objective.antithetic and draw % 2 == 1
        eps = weight_noise(key, draw - paired, mu.size).astype(float) * (-1 if paired else 1)
        partial = np.array([posterior.log_posterior_backward(*entry) for entry in zip(rho[left], eps[left])])
        total[:, left] += objective.kl_weight / objective.draws * partial[:, 1:].T
    return total.ravel()


def estimator_settings():
    """The settings in `ESTIMATOR` beside which of `PRIORS` they can stand, in all combinations but the default ones."""
    for name, antithetic, (prior_name, kl, gradient) in itertools.product(PLACEMENTS, (False, True), (
            ("mixture", "sampled", "total"), ("gaussian", "sampled", "total"), ("gaussian", "closed", "total"),
            ("mixture", "sampled", "path"))):
        settings = {"weight_noise": name, "antithetic": antithetic, "kl": kl, "gradient": gradient}
        if settings != ESTIMATOR and not (name == "local" and gradient == "path"):
            yield prior_name, settings


def equation_of(settings):
    """The equation that a combination of settings adds."""
    if settings["gradient"] == "path":
        return "E24"
    other = "E14" if settings["kl"] == "closed" else "E23"
    return {"local": "E16", "flipout": "E22"}.get(settings["weight_noise"], other)


def estimator_rows(hidden=(4, 5)):
    """A row for each way of putting the noise in, KL, gradient, two likelihoods and activations, and build.

    The path gradient is checked together with what it leaves out, which is then the gradient of the value.
    """
    for prior_name, settings in estimator_settings():
        pairs = ("gaussian_input", "tanh"), ("categorical", "relu")
        for names in pairs[:1] if settings["antithetic"] else pairs:
            case = path_case(prior_name, *names, "geometric", hidden=hidden, **settings)
            numeric, path = path_numeric(*case), settings["gradient"] == "path"
            what = ", ".join([prior_name, *names, *(
                f"{name}={value}" for name, value in settings.items() if value != ESTIMATOR[name])])
            for build, g in path_gradients(*case):
                g = g + left_out(*case) if path else g
                yield Row(f"training path: {what}", equation_of(settings), g.size,
                          *worst_entry(g, numeric, path_blocks(case[0])), build)


def network_settings():
    """Equation, names and settings: the ordinary network (E10), dropout, of drawn weights too (E25), and pruned ones in
    every estimator (E19)."""
    pairs = [("gaussian_input", "tanh"), ("categorical", "relu")]
    for names in pairs:
        yield "E10", ("mixture", *names), {"draws": 0}
    for names in itertools.product(("gaussian_input", "categorical"), ("tanh", "relu")):
        yield "E25", ("mixture", *names), {"draws": 0, "dropout": (0.2, 0.5)}
    for (prior_name, settings), names in zip(
            [("mixture", {}), ("mixture", {"form": "paper"}), ("gaussian", {"kl": "closed"}),
             ("mixture", {"gradient": "path"}), ("mixture", {"antithetic": True})], itertools.cycle(pairs)):
        yield "E25", (prior_name, *names), {**settings, "dropout": (0.2, 0.5)}
    pruned = [("mixture", {}), ("mixture", {"form": "paper"}), ("mixture", {"draws": 0, "dropout": (0.2, 0.5)}),
              ("mixture", {"draws": 0}), ("mixture", {"dropout": (0.2, 0.5)}),
              *((name, settings) for name, settings in estimator_settings()
                if not settings["antithetic"] and (name == "mixture" or settings["kl"] == "closed"))]
    for (prior_name, settings), names in zip(pruned, itertools.cycle(pairs)):
        yield "E19", (prior_name, *names), {**settings, "pruned": True}


def network_rows(hidden=(4, 5)):
    """A row for each of `network_settings`, and build."""
    for equation, names, settings in network_settings():
        case = path_case(*names, "geometric", hidden=hidden, **settings)
        numeric, path = path_numeric(*case), settings.get("gradient") == "path"
        what = ", ".join([*names, *(f"{name}={value}" for name, value in settings.items()
                                    if value != ESTIMATOR.get(name))])
        for build, g in path_gradients(*case):
            yield Row(f"training path: {what}", equation, g.size,
                      *worst_entry(g + left_out(*case) if path else g, numeric, path_blocks(case[0])), build)


def reference_rows():
    """`reference.py` by a complex step, for each prior, likelihood and activation."""
    for names in itertools.product(PRIORS, LIKELIHOODS, ACTIVATIONS):
        architecture, mu, rho, x, y, objective, key = path_case(*names, "uniform")
        pairs = [(1.0, 0.7)] if names[0] == "gaussian" else [(0.25, 1.0), (0.75, 0.1)]
        eps = np.array([weight_noise(key, draw, mu.size) for draw in range(objective.draws)], float)
        rest = (x, y, eps, architecture.widths, names[2], pairs, names[1].removesuffix("_learned"),
                objective.kl_weight)
        log_noise = np.log(objective.noise)
        numeric = complex_step_gradient(
            lambda theta: reference.free_energy(*np.split(theta, [mu.size, 2 * mu.size]), *rest),
            np.concatenate([mu, rho, log_noise]))
        g = np.concatenate(reference.free_energy_gradient(mu, rho, log_noise, *rest))
        yield Row(f"reference, complex step: {', '.join(names)}", "E13", g.size,
                  *worst_entry(g, numeric, [*path_blocks(architecture), ("log_noise", TARGETS)]))
    yield from _placed_reference_rows()


def _placed_reference_rows():
    """The same with noise that is not in the weights."""
    for name, likelihood_name in itertools.product(("local", "flipout"), ("gaussian_input", "categorical")):
        architecture, mu, rho, x, y, objective, key = path_case("mixture", likelihood_name, "tanh", "uniform")
        draws, log_noise = range(objective.draws), np.log(objective.noise)
        rest = (x, y, np.array([weight_noise(key, draw, mu.size) for draw in draws], float),
                [unit_noise(key, draw, architecture, len(x), weight_noise=name) for draw in draws],
                architecture.widths, "tanh", [(0.25, 1.0), (0.75, 0.1)], likelihood_name, objective.kl_weight)
        numeric = complex_step_gradient(
            lambda theta: reference.placed_free_energy(*np.split(theta, 2), log_noise, *rest),
            np.concatenate([mu, rho]))
        g = np.concatenate(reference.placed_free_energy_gradient(mu, rho, log_noise, *rest)[:2])
        yield Row(f"reference, complex step: {likelihood_name}, weight_noise={name}",
                  {"local": "E16", "flipout": "E22"}[name], g.size, *worst_entry(g, numeric, path_blocks(architecture)))


def all_rows(hidden=(4, 5)):
    """Every check, as an iterator over rows."""
    return itertools.chain(kernel_rows(), reference_rows(), path_rows(hidden), estimator_rows(hidden),
                           network_rows(hidden))
