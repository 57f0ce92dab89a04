"""What `bbbnp gradcheck` checks first: every kernel with a backward, against finite differences."""

import numpy as np

from bbbnp.architecture import ACTIVATIONS
from bbbnp.gradcheck import Row, numerical_gradient, worst_entry
from bbbnp.kernels import activation, dense, divergence, likelihood, posterior, prior
from bbbnp.objective import LIKELIHOODS, GaussianPrior, ScaleMixture, output_width

PRIORS = {"gaussian": GaussianPrior(0.7), "mixture": ScaleMixture(0.25, 1.0, 0.1)}
TARGETS = 2
STEP = 0.02


def data_for(rng, likelihood_name, inputs, rows):
    """Inputs and targets that suit the likelihood."""
    x = rng.normal(size=(rows, inputs))
    if likelihood_name == "categorical":
        return x, rng.integers(0, TARGETS, (rows, 1)).astype(float)
    if likelihood_name == "bernoulli":
        return x, rng.integers(0, 2, (rows, TARGETS)).astype(float)
    return x, rng.normal(size=(rows, TARGETS))


def kernel_rows(seed=1):
    """A row for each kernel that has a backward."""
    rng = np.random.default_rng(seed)
    rho, eps, mu, dw = rng.normal(size=(4, 9))
    mixture, gaussian = (PRIORS[name].components(float) for name in ("mixture", "gaussian"))

    def row(what, equation, f, x, g, step=STEP):
        return Row(what, equation, x.size, *worst_entry(g, numerical_gradient(f, x, step)))

    def each(function):  # a scalar kernel on every entry
        return lambda *arrays: np.array([function(*entries) for entries in zip(*arrays)])

    yield row("softplus", "E3", lambda r: dw @ each(posterior.softplus)(r), rho,
              each(posterior.softplus_backward)(dw, rho))
    yield row("log_softplus", "E3", lambda r: each(posterior.log_softplus)(r).sum(), rho,
              each(posterior.log_softplus_backward)(rho))
    yield row("reparameterize in mu, rho", "E4",
              lambda z: dw @ each(posterior.reparameterize)(z[:9], z[9:], eps), np.concatenate([mu, rho]),
              each(posterior.reparameterize_backward)(dw, rho, eps).T.ravel())
    yield row("log_posterior in w, mu, rho", "E5",
              lambda z: posterior.log_posterior(z[18:], (z[:9] - z[9:18]) / each(posterior.softplus)(z[18:])),
              np.concatenate([mu + each(posterior.softplus)(rho) * eps, mu, rho]),
              each(posterior.log_posterior_backward)(rho, eps).T.ravel())
    for name, equation, components in (("gaussian", "E6", gaussian), ("mixture", "E7", mixture)):
        yield row(f"log_prior, {name}", equation, lambda w: prior.log_prior(w, components), mu,
                  np.array([prior.mixture_score(w, components) for w in mu]))
    dmu, drho = np.empty(9), np.empty(9)
    divergence.kl_to_gaussian_backward(dmu, drho, mu, rho, np.float64(0.7))
    yield row("kl_to_gaussian in mu, rho", "E14", lambda z: divergence.kl_to_gaussian(z[:9], z[9:], np.float64(0.7)),
              np.concatenate([mu, rho]), np.concatenate([dmu, drho]))
    yield from _likelihood_rows(rng, row)
    yield from _layer_rows(rng, row)


def _likelihood_rows(rng, row):
    """E8 and E9: gradient of minus the log-likelihood in the outputs, and in the log noise."""
    for name in ("gaussian_learned", "gaussian_input", "categorical", "bernoulli"):
        _, y = data_for(rng, name, 1, 6)
        out, code = rng.normal(size=(6, output_width(name, TARGETS))), LIKELIHOODS[name]
        log_noise, rows, dout, dlog_noise = np.array([-0.4, 0.3]), np.empty(6), np.empty_like(out), np.zeros(2)
        likelihood.log_likelihood_backward(dout, dlog_noise, code, out, y, log_noise)
        size = out.size if name != "gaussian_learned" else out.size + 2

        def loss(z):
            return -likelihood.log_likelihood(
                rows, code, z[:out.size].reshape(out.shape), y, z[out.size:] if size > out.size else log_noise)

        yield row(f"log_likelihood, {name}", "E8" if "gaussian" in name else "E9", loss,
                  np.concatenate([out.ravel(), log_noise])[:size], np.concatenate([dout.ravel(), dlog_noise])[:size])


def _layer_rows(rng, row):
    """E10 and E11: the dense layer in x, W and b, and each activation away from its kink."""
    x, w, b, dy = rng.normal(size=(4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5), rng.normal(size=(4, 5))
    dx, dw, db, y = np.empty_like(x), np.empty_like(w), np.empty_like(b), np.empty_like(dy)
    dense.dense_backward_input(dx, dy, w)
    dense.dense_backward_weights(dw, dy, x)
    dense.dense_backward_bias(db, dy)

    def weighted(z):
        dense.dense_forward(y, z[:12].reshape(4, 3), z[12:27].reshape(3, 5), z[27:])
        return np.sum(dy * y)

    yield row("dense in x, W, b", "E10", weighted, np.concatenate([x.ravel(), w.ravel(), b]),
              np.concatenate([dx.ravel(), dw.ravel(), db]))
    for name, code in ACTIVATIONS.items():
        z = rng.choice([-1, 1], 8) * rng.uniform(0.1, 2, 8)
        dh, h = rng.normal(size=8), z.copy()
        activation.activation_forward(h, code)
        g = dh.copy()
        activation.activation_backward(g, h, code)

        def weighted_output(z):
            h = z.copy()
            activation.activation_forward(h, code)
            return dh @ h

        yield row(f"activation, {name}", "E11", weighted_output, z, g)
