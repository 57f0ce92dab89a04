"""The same training step as PyTorch and JAX users write it, for ``bbbnp bench --peers``; neither is a dependency.

One draw of the weights a minibatch, sampled KL, summed cross-entropy (or Gaussian noise of deviation one), Adam, and
the loss's value read after each round, not after each step, which is to the peer's advantage.

Each trains in a process of its own, ``python -m bbbnp.experiments.peers torch 400 mixture 2``, which has as many cores
as ours has threads, takes as many steps as a line of its input says, and answers with that line: so it is timed in turn
with ours, and by the same clock.
"""

import contextlib
import os
import statistics
import subprocess
import sys

import numba
import numpy as np

from bbbnp.experiments import timing
from bbbnp.experiments.timing import PRIORS

CASES = (("400", "mixture"), ("400", "gaussian"), ("1200", "mixture"), *((name, "mixture") for name in timing.SMALL))


def problem(network):
    """Widths, batch and data of 784-H-H-10 or of a small network, as `timing` has them."""
    widths, batch, examples = timing.shape(network)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, widths[0]), dtype=np.float32)
    y = x[:, :1] if network in timing.SMALL else rng.integers(widths[-1], size=examples)
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


PEERS = {"torch": torch, "jax": jax}
NEEDED = {"torch": "torch", "jax": "jax, optax"}


@contextlib.contextmanager
def process_of(peer, network, prior, threads):
    """A peer under training in a process of its own: its version, and a function of a number of steps.

    Raises
    ------
    ChildProcessError
        If the process ends, or says anything but what it was asked for.
    """
    command = [sys.executable, "-m", "bbbnp.experiments.peers", peer, network, prior, str(threads)]

    def answer(expected):
        line = process.stdout.readline().strip()
        if not line.startswith(expected):
            raise ChildProcessError(f"{' '.join(command[1:])} said {line!r} in place of {expected!r}")
        return line.removeprefix(expected).strip()

    def run(steps):
        with contextlib.suppress(BrokenPipeError):  # it has no answer then
            os.write(process.stdin.fileno(), f"{steps}\n".encode())
        answer(f"{steps} steps")

    # Ctrl-C is ours: a peer ends with its input
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        yield answer("version"), run


def records(rounds):
    """Cost of a step of each peer that is installed, in turn with ours, and our part of it."""
    installed = [peer for peer, modules in NEEDED.items() if subprocess.run(
        [sys.executable, "-c", f"import {modules}"], capture_output=True, check=False).returncode == 0]
    for network, prior in CASES if installed else ():
        small = network in timing.SMALL
        ours, threads = timing.trainer(network, prior), 1 if small else numba.config.NUMBA_NUM_THREADS
        with contextlib.ExitStack() as processes:
            theirs = {peer: processes.enter_context(process_of(peer, network, prior, threads)) for peer in installed}
            times = timing.in_turn({"ours": ours.run} | {peer: run for peer, (_, run) in theirs.items()}, rounds)
        case = {"network": network} if small else {"hidden": int(network)}
        unit, scale = ("us_per_step", 1e6) if small else ("ns_per_weight", 1e9 / ours.size)
        for peer, (version, _) in theirs.items():
            ratio = [a / ours.steps / b for a, b in zip(times["ours"], times[peer])]
            yield {"peer": peer, **case, "prior": prior, unit: statistics.median(times[peer]) * scale,
                   "version": version, "spread": timing.spread([t * scale for t in times[peer]]),
                   "ratio": statistics.median(ratio), "ratio_spread": [min(ratio), max(ratio)]}


def main(peer, network, prior, threads):
    """The process of a peer: its version, and then as many steps as each line of the input says."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(threads)])
    run, version = PEERS[peer](*problem(network), prior)
    print("version", version, flush=True)
    for line in sys.stdin:
        run(int(line))
        print(line.strip(), "steps", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
