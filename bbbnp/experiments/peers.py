"""The same training step as PyTorch and JAX users write it, for ``bbbnp bench --peers``; neither is a dependency.

Run in a process of its own: ``python -m bbbnp.experiments.peers torch 400 mixture 5`` prints one JSON record. One draw
of the weights a minibatch, sampled KL, summed cross-entropy (or Gaussian noise of deviation one), Adam, and the loss's
value read after each round, not after each step, which is to the peer's advantage.
"""

import json
import statistics
import sys
import time

import numpy as np

from bbbnp.experiments.bench import BATCH, CLASSES, INPUTS, PRIORS, SECONDS, SMALL, spread

LOG_2PI = 1.8378770664093453


def problem(network):
    """Widths, batch and data of 784-H-H-10 or of a small network, as `bench` has them."""
    if network in SMALL:
        widths, batch, examples = SMALL[network]
    else:
        widths, batch, examples = (INPUTS, int(network), int(network), CLASSES), BATCH, 10 * BATCH
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, widths[0]), dtype=np.float32)
    y = x[:, :1] if network in SMALL else rng.integers(widths[-1], size=examples)
    return widths, batch, x, y


def initial(widths):
    """mu and rho of each weight matrix and bias."""
    rng = np.random.default_rng(0)
    mu = [rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(2 / k)) * (len(shape) > 1)
          for k, n in zip(widths, widths[1:]) for shape in ((k, n), (n,))]
    return mu, [np.full_like(m, -5) for m in mu]


def components(prior):
    """(log weight, sigma) of each component of a prior."""
    if prior == "gaussian":
        return [(0.0, PRIORS[prior].sigma)]
    mixture = PRIORS[prior]
    return [(float(np.log(mixture.pi)), mixture.sigma1), (float(np.log(1 - mixture.pi)), mixture.sigma2)]


def torch(widths, batch, x, y, prior):
    """A function of a number of steps, with autograd and `torch.optim.Adam`."""
    import torch
    from torch.nn.functional import cross_entropy, softplus
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    mu, rho = ([torch.from_numpy(a).requires_grad_() for a in arrays] for arrays in initial(widths))
    optimizer = torch.optim.Adam([*mu, *rho], lr=1e-3)
    parts = components(prior)

    def loss(xb, yb):
        h, kl, depth = xb, 0.0, len(mu) // 2
        w = []
        for m, r in zip(mu, rho):
            sigma, eps = softplus(r), torch.randn_like(m)
            w.append(m + sigma * eps)
            kl = kl + (-torch.log(sigma) - eps**2 / 2).sum()
            logs = [a - np.log(s) - w[-1]**2 / (2 * s**2) for a, s in parts]
            kl = kl - (logs[0] if len(logs) == 1 else torch.logaddexp(*logs)).sum()
        for i in range(depth):
            h = h @ w[2 * i] + w[2 * i + 1]
            h = torch.relu(h) if i < depth - 1 else h
        misfit = ((yb - h)**2).sum() / 2 if yb.is_floating_point() else cross_entropy(h, yb, reduction="sum")
        return kl * len(xb) / len(x) + misfit

    def run(steps):
        for step in range(steps):
            start = step * batch % len(x)
            optimizer.zero_grad()
            value = loss(x[start:start + batch], y[start:start + batch])
            value.backward()
            optimizer.step()
        return float(value.detach())

    return run, torch.__version__


def jax(widths, batch, x, y, prior):
    """A function of a number of steps, each jitted, with `jax.grad` and `optax.adam`."""
    import jax
    import jax.numpy as jnp
    import optax
    x, y = jnp.asarray(x), jnp.asarray(y)
    parameters = tuple([jnp.asarray(a) for a in arrays] for arrays in initial(widths))
    adam, parts = optax.adam(1e-3), components(prior)

    def loss(parameters, xb, yb, key):
        h, kl, w = xb, 0.0, []
        for m, r, k in zip(*parameters, jax.random.split(key, len(parameters[0]))):
            sigma, eps = jax.nn.softplus(r), jax.random.normal(k, m.shape)
            w.append(m + sigma * eps)
            kl += (-jnp.log(sigma) - eps**2 / 2).sum()
            logs = [a - np.log(s) - w[-1]**2 / (2 * s**2) for a, s in parts]
            kl -= (logs[0] if len(logs) == 1 else jnp.logaddexp(*logs)).sum()
        depth = len(w) // 2
        for i in range(depth):
            h = h @ w[2 * i] + w[2 * i + 1]
            h = jax.nn.relu(h) if i < depth - 1 else h
        misfit = (((yb - h)**2).sum() / 2 if jnp.issubdtype(yb.dtype, jnp.floating)
                  else optax.softmax_cross_entropy_with_integer_labels(h, yb).sum())
        return kl * len(xb) / len(x) + misfit

    def one(parameters, moments, start, key):
        rows = (jax.lax.dynamic_slice_in_dim(a, start, batch) for a in (x, y))
        key, this = jax.random.split(key)
        value, gradient = jax.value_and_grad(loss)(parameters, *rows, this)
        change, moments = adam.update(gradient, moments)
        return optax.apply_updates(parameters, change), moments, key, value

    step = jax.jit(one, donate_argnums=(0, 1))
    now = [parameters, adam.init(parameters), jax.random.key(0)]

    def run(steps):
        for i in range(steps):
            now[0], now[1], now[2], value = step(now[0], now[1], i * batch % len(x), now[2])
        return float(value)

    return run, jax.__version__


def main(peer, network, prior, rounds):
    """Time a peer's steps and print the record."""
    widths, batch, x, y = problem(network)
    run, version = {"torch": torch, "jax": jax}[peer](widths, batch, x, y, prior)
    run(2)
    start = time.perf_counter()
    run(3)
    steps = max(2, round(3 * SECONDS / (time.perf_counter() - start)))
    times = []
    for _ in range(int(rounds)):
        start = time.perf_counter()
        run(steps)
        times.append((time.perf_counter() - start) / steps)
    size = sum((k + 1) * n for k, n in zip(widths, widths[1:]))
    unit, scale = ("us_per_step", 1e6) if network in SMALL else ("ns_per_weight", 1e9 / size)
    times = [t * scale for t in times]
    print(json.dumps({unit: statistics.median(times), "spread": spread(times), "version": version}))


if __name__ == "__main__":
    main(*sys.argv[1:])
