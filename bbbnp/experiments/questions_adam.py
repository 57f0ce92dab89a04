"""What minibatch weights do to Adam: the KL's force beside the size of the gradient that Adam divides by.

The gradient of minibatch i in one parameter is G_i + lambda_i k_i, with G the likelihood's part, k the whole KL's at
this draw, and lambda_i the minibatch weight, which sum to one over the M minibatches of an epoch. Adam moves by the
mean gradient over the root of v, its mean square. With minibatches in random order G and k do not depend on lambda, so

    mean KL force = E[k]/M,  v = E[G^2] + 2 E[G k]/M + mean(lambda^2) E[k^2]

The force is the same for all weights that sum to one; v is not: mean(lambda^2) is 1/M^2 if they are uniform, 1/(3 M) if
they are geometric. The effective KL weight is how much slower the KL drives a parameter than with uniform weights,

    e = (E[k]/M / sqrt v) / (the same with uniform weights) = sqrt(v_uniform/v)

which is one where the likelihood's noise makes v, and sqrt(3/M) where the KL is alone, as on the weights of a pixel
that is never lit. Those formulas take v as constant in an epoch; `pace` runs Adam itself, whose v forgets in a thousand
steps.
"""

from typing import NamedTuple

import numpy as np

from bbbnp import reference
from bbbnp.estimator import BETA1, BETA2, EPSILON, OPTIMIZERS, SCHEDULES
from bbbnp.exact import ConjugateRegression
from bbbnp.kernels import optimizer as rules
from bbbnp.model import BayesRegressor
from bbbnp.objective import GaussianPrior, Objective, minibatch_weights
from bbbnp.study import Key, free_energy_gradient

WEIGHTS = ("uniform", "geometric")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEVELS = tuple(float(level) for level in np.round(np.linspace(0, 1, 41), 3))  # of the effective weight, for the figure
MEMORY = 10_000  # steps after which Adam's moments have forgotten the first

# the conjugate model: few examples a minibatch at many minibatches, and inputs of which eight are always zero
EXAMPLES, USED, IDLE, NOISE, PRIOR_SIGMA, RHO_INIT, RATE = 512, 3, 8, 1.0, 0.8, -5.0, 1e-3
MINIBATCHES, STEPS, LONG, LOOKS = (4, 8, 64, 512), 20_480, 409_600, 20


class Moments(NamedTuple):
    """Means over minibatches and draws, each shape (P,): E[G^2], E[G k], E[k], E[k^2]."""

    likelihood_square: np.ndarray
    cross: np.ndarray
    kl: np.ndarray
    kl_square: np.ndarray

    def square(self, weights):
        """v, the mean square of the gradient that Adam divides by, under these minibatch weights."""
        return (self.likelihood_square + 2 * np.mean(weights) * self.cross
                + np.mean(np.square(weights)) * self.kl_square)

    def effective(self, weights):
        """The effective KL weight: the normalised KL force over that of uniform weights."""
        uniform = np.full(len(weights), np.mean(weights))
        return np.sqrt(self.square(uniform) / self.square(weights))

    def share(self, weights):
        """The KL's own part of v."""
        return np.mean(np.square(weights)) * self.kl_square / self.square(weights)


def alone(weights):
    """Steps of Adam, in learning rates, where the KL is the only force and v is constant: mean over root mean square.

    For geometric weights sqrt((1 - 2^-M)/(1 + 2^-M) 3/M).
    """
    return float(np.mean(weights) / np.sqrt(np.mean(np.square(weights))))


def adam(rate=1.0, schedule="constant", horizon=1.0, rule="adam"):
    """The optimiser of training, for kernels."""
    return rules.Optimizer(OPTIMIZERS[rule], rate, SCHEDULES[schedule], float(horizon), BETA1, BETA2, EPSILON)


def updated(x, dx, first, second, settings, step):
    """The step that training takes, on `x` and the moments, in place."""
    rules.update(x, dx, first, second, rules.Optimizer(*rules.at_step(settings, step)))


def pace(weights, rule="adam"):
    """Mean step, in learning rates, that a force of one driven by `weights` makes in an epoch, by running the rule.

    `alone` with Adam's own memory in place of a constant v; plain SGD moves by the mean weight.
    """
    x, first, second = np.zeros((3, 1))
    epochs = max(2, -(-MEMORY // len(weights)))
    for step in range(epochs * len(weights)):
        if step == (epochs - 1) * len(weights):
            before = x[0]
        updated(x, np.array([weights[step % len(weights)]]), first, second, adam(rule=rule), step)
    return float(before - x[0]) / len(weights)


def travel(weights, rule, rate, steps, most=np.inf):
    """How far a force of one driven by `weights` moves a parameter in a cosine run of so many steps, or `most`.

    Of rho it is what the KL alone does while sigma is small beside the prior's: its gradient there is -lambda_i.
    """
    x, first, second = np.zeros((3, 1))
    settings = adam(rate, "cosine", steps, rule)
    for step in range(steps):
        updated(x, np.array([-weights[step % len(weights)]]), first, second, settings, step)
        if x[0] >= most:
            return float(most)
    return float(x[0])


def moments(architecture, posterior, batches, prior, seed=0):
    """Moments of the gradient in mu and in rho over minibatches (X, y), with draws fixed by the seed.

    In float64: k is the difference of two gradients at the same draw, one of which has no KL.
    """
    mu, rho = (np.asarray(part, float) for part in posterior)
    sums = {name: Moments(*np.zeros((4, architecture.size))) for name in ("mu", "rho")}
    for number, (x, y) in enumerate(batches):
        free, whole = (free_energy_gradient(
            architecture, mu, rho, x, y, key=Key(seed, number),
            objective=Objective(prior, "categorical", temperature=temperature)) for temperature in (0.0, 1.0))
        for name, total in sums.items():
            g = getattr(free, f"d{name}")
            k = getattr(whole, f"d{name}") - g
            for kept, term in zip(total, (g * g, g * k, k, k * k)):
                kept += term / len(batches)
    return sums


def quantiles(values, levels=QUANTILES):
    """As a list of floats for JSON."""
    return [float(q) for q in np.quantile(values, levels)]


def force_records(found, idle, minibatches, sizes=None):
    """What Adam divides by, and the effective weights, of idle and of used weights, in mu and in rho."""
    lambdas = {kind: minibatch_weights(kind, sizes or [1] * minibatches) for kind in WEIGHTS}
    for name, all_ in found.items():
        for group, mask in (("idle", idle), ("used", ~idle)):
            if not mask.any():
                continue
            part = Moments(*(values[mask] for values in all_))
            record = {"parameter": name, "group": group, "weights": int(mask.sum()),
                      "likelihood_rms": quantiles(np.sqrt(part.likelihood_square)),
                      "kl_force": quantiles(part.kl / minibatches),
                      "effective": quantiles(part.effective(lambdas["geometric"]), LEVELS),
                      "slowed": float(np.mean(part.effective(lambdas["geometric"]) < 0.5)),
                      "predicted_alone": alone(lambdas["geometric"])}
            for kind, weights in lambdas.items():
                record |= {f"kl_share_{kind}": quantiles(part.share(weights)),
                           f"kl_rms_{kind}": quantiles(np.sqrt(np.mean(np.square(weights)) * part.kl_square)),
                           f"normalised_force_{kind}": quantiles(part.kl / minibatches / np.sqrt(part.square(weights)))}
            yield record


def design(seed=0):
    """X, y and the exact answer of a linear regression with IDLE inputs that are always zero."""
    rng = np.random.default_rng(seed)
    mixing = np.eye(USED) + 0.5 * np.tri(USED, k=-1)
    X = np.column_stack([rng.normal(size=(EXAMPLES, USED)) @ mixing, np.zeros((EXAMPLES, IDLE))])
    y = X[:, :USED] @ rng.normal(size=USED) + 0.3 + NOISE * rng.normal(size=EXAMPLES)
    return X, y, ConjugateRegression(np.column_stack([X, np.ones(EXAMPLES)]), y, NOISE, PRIOR_SIGMA)


def conjugate_run(rule, kind, minibatches, steps, seed=0):
    """Train the conjugate model, and say how far the posterior is from the best one, which is known."""
    X, y, truth = design(seed)
    m, best = truth.mean_field
    idle = np.append(~X.any(axis=0), False)  # the last weight is the bias
    epochs = -(-steps // minibatches)
    model = BayesRegressor(
        hidden=(), standardize=False, dtype="float64", noise=NOISE, prior=GaussianPrior(PRIOR_SIGMA), optimizer=rule,
        learning_rate=RATE, rho_init=RHO_INIT, batch_size=-(-EXAMPLES // minibatches), minibatch_weights=kind,
        epochs=epochs, seed=seed, threads=1, progress=False)
    track = [[0, RHO_INIT]]
    for end in np.unique(np.linspace(0, epochs, LOOKS + 1).astype(int))[1:]:
        done = model.state_.epoch if hasattr(model, "state_") else 0
        model.partial_fit(X, y, epochs=int(end) - done)
        track.append([int(end) * minibatches, float(np.median(model.rho_[idle]))])
    ratio = model.sigma_ / best
    weights = minibatch_weights(kind, [EXAMPLES // minibatches] * minibatches)
    expected = travel(weights, rule, RATE, epochs * minibatches, np.log(np.expm1(PRIOR_SIGMA)) - RHO_INIT)
    return {"optimizer": rule, "minibatch_weights": kind, "minibatches": minibatches, "steps": epochs * minibatches,
            "sigma_idle": float(np.median(ratio[idle])), "sigma_used": quantiles(ratio[~idle], (0, 0.5, 1)),
            "mu_error_used": float(np.max(np.abs(model.mu_ - m)[~idle] / best[~idle])),
            "mu_idle": float(np.max(np.abs(model.mu_[idle]) / PRIOR_SIGMA)),
            "rho_idle": float(np.median(model.rho_[idle])), "pace": pace(weights, rule),
            "alone": alone(weights), "rho_idle_predicted": RHO_INIT + expected, "track": track}


def conjugate(*, steps=STEPS, long=LONG, minibatches=MINIBATCHES, seed=0):
    """Adam and plain SGD, both minibatch weights, each M, over `steps` steps; Adam over `long` steps too.

    Returns
    -------
    list of dict
        Ratios of sigma to the best sigma (smallest, median, largest of the used weights), errors of mu in posterior
        deviations, and how rho of the idle weights went, beside what their pace predicts.
    """
    plans = [("adam", steps), ("sgd", steps), ("adam", long)]
    return [conjugate_run(rule, kind, m, length, seed) for rule, length in plans for m in minibatches
            for kind in WEIGHTS]


def memory_run(weights, beta2, steps, *, count=64, seed=0):
    """Idle weights that start at the prior itself, trained by Adam with this beta2: mean of sigma over the prior's."""
    theta, first, second = np.zeros((3, 2 * count))
    mu, rho = np.split(theta, 2)
    rho[:] = np.log(np.expm1(PRIOR_SIGMA))
    settings, rng = adam(RATE, "cosine", steps)._replace(beta2=beta2), np.random.default_rng(seed)
    for step in range(steps):
        eps, part = rng.standard_normal(count), weights[step % len(weights)]
        w = reference.reparameterize(mu, rho, eps)
        gradient = reference.short_gradient(part * w / PRIOR_SIGMA**2, rho, eps, part)
        updated(theta, np.concatenate(gradient), first, second, settings, step)
    return float(np.mean(reference.softplus(rho)) / PRIOR_SIGMA)


def memory(*, steps=LONG // 4, minibatches=MINIBATCHES[-1]):
    """Whether Adam with geometric weights stays at the prior where it starts there: with its own memory, and ten times
    that."""
    weights = minibatch_weights("geometric", [1] * minibatches)
    return [{"beta2": beta2, "minibatches": minibatches, "steps": steps,
             "sigma_idle": memory_run(weights, beta2, steps)} for beta2 in (BETA2, 1 - (1 - BETA2) / 10)]
