"""``bbbnp variance``: how noisy the gradient is under each way of putting the noise in, beside what theory predicts.

The variance of a gradient is summed over all weights, in mu and in rho apart, over keys of the noise at one fixed
minibatch: what is left is the noise that the estimator itself puts in. Predictions:

- data term of the mean over a batch: v/B + (1 - 1/B) c, with v the variance of one example's gradient, measured
  example by example and averaged over the batch, and c the covariance of two. With noise of each example's own (local)
  c = 0, and the variance falls as 1/B; otherwise c is solved from the batch of 32, and is the floor that no larger
  batch gets below (the few examples of a smaller batch have another covariance);
- S independent draws: 1/S of one draw's variance;
- sampled KL of a Gaussian prior of deviation s, in closed form: see `predicted_kl`.
"""

import statistics
import time

import numpy as np
from tqdm import tqdm

from bbbnp.architecture import Architecture
from bbbnp.experiments import regression, timing
from bbbnp.model import BayesClassifier, BayesRegressor
from bbbnp.objective import GaussianPrior, Objective
from bbbnp.study import Key, free_energy, free_energy_gradient

HIDDEN, PRIOR, TRAINED_EPOCHS = (100, 100), GaussianPrior(0.3), 200
BATCHES, DRAWS, BATCH = (1, 2, 8, 32, 128), (1, 2, 4, 8), 128
SOLVED_FROM = 32
GROUPS = 8  # of keys: the standard error is that of their variances
ESTIMATORS = {
    "weights": {}, "antithetic": {"antithetic": True, "draws": 2}, "closed KL": {"kl": "closed"},
    "path": {"gradient": "path"}, "local": {"weight_noise": "local"},
    "local, closed KL": {"weight_noise": "local", "kl": "closed"}, "flipout": {"weight_noise": "flipout"},
    "flipout, closed KL": {"weight_noise": "flipout", "kl": "closed"}}
RACERS = ("weights", "antithetic", "closed KL", "local, closed KL", "flipout, closed KL", "path")


def digits():
    """Inputs in [0, 1], shape (1797, 64), and labels, of scikit-learn's 8x8 digits, in an order of their own.

    Raises
    ------
    ValueError
        If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ValueError("the digits come with scikit-learn: pip install scikit-learn") from None
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return np.ascontiguousarray(x[order] / 16), y[order].astype(float)


def posteriors(seed=0):
    """mu and rho of 64-100-100-10 before and after training."""
    x, y = digits()
    architecture = Architecture((x.shape[1], *HIDDEN, 10))
    mu = architecture.initial_mu(seed)
    model = BayesClassifier(hidden=HIDDEN, prior=PRIOR, epochs=TRAINED_EPOCHS, standardize=False, seed=seed).fit(x, y)
    return architecture, {"untrained": (mu, np.full_like(mu, -5)),
                          "trained": (model.mu_.astype(float), model.rho_.astype(float))}


def gradients(architecture, posterior, batch, settings, *, temperature, keys):
    """Gradients in [mu, rho], shape (keys, 2 P), of the mean over the batch, at steps 0, 1, ... of one seed."""
    x, y = batch
    objective = Objective(PRIOR, "categorical", minibatch_weight=len(x) / len(digits()[0]), temperature=temperature,
                          **settings)
    result = np.empty((keys, 2 * architecture.size))
    for step in range(keys):
        g = free_energy_gradient(architecture, *posterior, x, y, objective=objective, key=Key(1, step))
        result[step] = np.concatenate([g.dmu, g.drho]) / len(x)
    return result


def total_variance(sample):
    """Variance summed over all weights, with its standard error, in mu and in rho."""
    groups = np.array([group.var(axis=0, ddof=1) for group in np.array_split(sample, GROUPS)])
    mu, rho = (part.sum(axis=1) for part in np.split(groups, 2, axis=1))
    return {f"{kind}_{name}": float(value) for name, part in (("mu", mu), ("rho", rho))
            for kind, value in (("variance", part.mean()), ("se", part.std(ddof=1) / np.sqrt(GROUPS)))}


def predicted_kl(mu, rho, weight, gradient):
    """Variance of the sampled KL's gradient, summed over the weights, for a Gaussian prior of deviation s.

    total:  weight^2 sigma^2/s^4            and  weight^2 r^2 sigma^2 (mu^2 + 2 sigma^2)/s^4
    path:   weight^2 (sigma/s^2 - 1/sigma)^2  and  weight^2 r^2 (sigma^2 mu^2/s^4 + 2 (sigma^2/s^2 - 1)^2)

    in mu and in rho, with r = d log sigma/d rho: the gradients are polynomials in eps of degree one and two.
    """
    sigma, precision = np.logaddexp(0, rho), PRIOR.sigma**-2
    r = 1 / (1 + np.exp(-rho)) / sigma
    if gradient == "total":
        in_mu, in_rho = sigma * precision, np.sqrt(sigma**2 * (mu**2 + 2 * sigma**2)) * precision
    else:
        in_mu = sigma * precision - 1 / sigma
        in_rho = np.sqrt((sigma * mu * precision)**2 + 2 * (sigma**2 * precision - 1)**2)
    return {"predicted_mu": float(np.sum((weight * in_mu)**2)),
            "predicted_rho": float(np.sum((weight * r * in_rho)**2))}


def data_records(measure, keys):
    """The data term alone (no KL) against the batch."""
    for name in ("weights", "local", "flipout"):
        options = {"temperature": 0.0, "keys": keys}
        few = {**options, "keys": max(2 * GROUPS, keys // 4)}  # each; there are many
        each = [measure(ESTIMATORS[name], rows=slice(n, n + 1), **few) for n in range(max(BATCHES))]
        found = {b: measure(ESTIMATORS[name], rows=slice(b), **options) for b in BATCHES}
        for b in BATCHES:
            predicted = {}
            for part in ("mu", "rho"):
                v = np.cumsum([record[f"variance_{part}"] for record in each]) / np.arange(1, len(each) + 1)
                many = found[SOLVED_FROM][f"variance_{part}"] - v[SOLVED_FROM - 1] / SOLVED_FROM
                c = many / (1 - 1 / SOLVED_FROM) if name != "local" else 0.0
                predicted[f"predicted_{part}"] = float(v[b - 1] / b + (1 - 1 / b) * c)
            yield {"part": "data", "estimator": name, "batch": b, "draws": 1, **found[b], **predicted}


def draw_records(measure, keys):
    """The whole gradient against the number of draws, at one batch."""
    for name, settings in ESTIMATORS.items():
        first = None
        for draws in DRAWS:
            if draws < settings.get("draws", 1):
                continue
            found = measure({**settings, "draws": draws}, rows=slice(BATCH), temperature=1.0, keys=keys)
            first = first or (draws, found)
            yield {"part": "all", "estimator": name, "batch": BATCH, "draws": draws, **found,
                   **{f"predicted_{part}": first[1][f"variance_{part}"] * first[0] / draws for part in ("mu", "rho")}}


def kl_records(sample, posterior, examples, keys):
    """The KL's gradient alone: the difference of temperatures one and zero under the same noise."""
    for name in ("weights", "antithetic", "path", "closed KL"):
        settings = ESTIMATORS[name]
        difference = sample(settings, rows=slice(BATCH), temperature=1.0, keys=keys) - sample(
            settings, rows=slice(BATCH), temperature=0.0, keys=keys)
        record = {"part": "kl", "estimator": name, "batch": BATCH, "draws": settings.get("draws", 1),
                  **total_variance(difference)}
        if name in ("weights", "path"):
            record |= predicted_kl(*posterior, 1 / examples, settings.get("gradient", "total"))
        yield record


def step_seconds(rounds=5):
    """Seconds of a training step of 64-100-100-10 at batch 128 under each estimator, in turn."""
    trainers = {name: timing.Trainer((64, *HIDDEN, 10), PRIOR, settings=settings, threads=1)
                for name, settings in ESTIMATORS.items()}
    times = timing.in_turn({name: trainer.run for name, trainer in trainers.items()}, rounds)
    return {name: statistics.median(times[name]) / trainer.steps for name, trainer in trainers.items()}


def race(data, name, seed, seconds, looks=8):
    """Free energy against seconds of training, at about `looks` moments; looking is not counted.

    Free energy here is the same function for all: closed-form KL and the mean misfit of 16 draws of the weights.
    """
    if data == "digits":
        (x, y), model, likelihood = digits(), BayesClassifier, "categorical"
    else:
        x, y = regression.make_data("paper_figure", 600, np.random.default_rng(seed))
        model, likelihood = BayesRegressor, "gaussian"
    options = {"noise": 0.05} if data == "regression" else {}
    net = model(hidden=HIDDEN if data == "digits" else (50,), prior=PRIOR, seed=seed, standardize=False, threads=1,
                schedule="constant", learning_rate=3e-3, **options, **ESTIMATORS[name])
    net.partial_fit(x, y, epochs=1)  # compiles
    fair = Objective(PRIOR, likelihood, draws=16, kl="closed", **options)
    trained, epochs, track = 0.0, 1, []
    while trained < seconds:
        begun = time.perf_counter()
        net.partial_fit(x, y, epochs=epochs)
        took = time.perf_counter() - begun
        trained += took
        epochs = max(1, round(epochs * seconds / looks / took))
        value = free_energy(net.architecture_, net.mu_, net.rho_, x, y, objective=fair, key=Key(9)).value
        track.append((round(trained, 4), round(value, 3)))
    return {"data": data, "estimator": name, "seed": seed, "epochs": net.state_.epoch, "track": track}


def run(*, keys=200, seeds=5, seconds=4.0):
    """Everything; returns the JSON's content without its head."""
    x, y = digits()
    architecture, states = posteriors()
    result = {"network": [64, *HIDDEN, 10], "prior_sigma": PRIOR.sigma, "variance": [], "step_s": step_seconds()}
    bar = tqdm(desc="variance", disable=None, leave=False, unit=" measurements")
    for state, posterior in states.items():
        def sample(settings, *, rows, **options):
            bar.update()
            return gradients(architecture, posterior, (x[rows], y[rows]), settings, **options)

        def measure(settings, **options):
            return total_variance(sample(settings, **options))

        for records in (data_records(measure, keys), draw_records(measure, keys),
                        kl_records(sample, posterior, len(x), keys)):
            result["variance"] += [{"state": state, **record} for record in records]
    result["races"] = []
    for seed in range(seeds):
        for data in ("digits", "regression"):
            for name in RACERS:
                result["races"].append(race(data, name, seed, seconds))
                bar.update()
    bar.close()
    return result


def table(result):
    """The results as lines of text."""
    lines = [f"{'':12}{'part':6}{'estimator':20}{'batch':>6}{'draws':>6}{'variance in mu':>16}{'predicted':>11}"
             f"{'in rho':>11}{'predicted':>11}"]
    for r in result["variance"]:
        numbers = [f"{r[key]:11.2e}" if key in r else f"{'':11}" for key in (
            "variance_mu", "predicted_mu", "variance_rho", "predicted_rho")]
        lines.append(f"{r['state']:12}{r['part']:6}{r['estimator']:20}{r['batch']:6}{r['draws']:6}     "
                     + "".join(numbers))
    lines += [f"{name:20} {seconds_ * 1e6:8.0f} us a step" for name, seconds_ in result["step_s"].items()]
    return "\n".join(lines)
