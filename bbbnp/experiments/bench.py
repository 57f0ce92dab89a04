"""``bbbnp bench``: what a training step costs, beside the products that no method can avoid and beside other libraries.

Contestants are timed in turn (see `timing`), ours and the products in one process, other libraries in processes of
their own. Times are of `training.run`, which draws minibatches and computes the free energy's value in every step;
costs are in nanoseconds per weight and step.
"""

import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numba
import numpy as np
from threadpoolctl import threadpool_info
from tqdm import tqdm

from bbbnp.experiments import phases, timing
from bbbnp.experiments.peers import records as peer_records
from bbbnp.experiments.timing import PRIORS, Trainer, in_turn, products, spread
from bbbnp.kernels import noise

HIDDEN, WIDTHS = (400, 800, 1200), (100, 200, 400, 800, 1200, 2400)


def step_records(rounds, thread_counts):
    """Step and floor of 784-H-H-10 for each H, both priors and each number of threads: all in turn, steps after their
    floor, since a machine's neighbours come and go in seconds."""
    trainers, contestants = {}, {}
    for hidden, count in itertools.product(HIDDEN, thread_counts):
        widths = (timing.INPUTS, hidden, hidden, timing.CLASSES)
        contestants[hidden, count] = products(widths, timing.BATCH, count)
        for prior in PRIORS:
            trainer = trainers[hidden, prior, count] = Trainer(widths, PRIORS[prior], threads=count)
            contestants[hidden, prior, count] = trainer.run
    times = in_turn(contestants, rounds)
    for (hidden, prior, count), trainer in trainers.items():
        step = [t / trainer.steps / trainer.size * 1e9 for t in times[hidden, prior, count]]
        possible = [times[hidden, c] for c in thread_counts if c <= count]  # more threads need not be faster
        floor = [t / trainer.size * 1e9 for t in min(possible, key=statistics.median)]
        ratio = [s / f for s, f in zip(step, floor)]
        yield {"hidden": hidden, "prior": prior, "threads": count, "ns_per_weight": statistics.median(step),
               "floor_ns_per_weight": statistics.median(floor), "ratio": statistics.median(ratio),
               "ns_spread": spread(step), "ratio_spread": spread(ratio)}


def estimator_records(rounds, threads):
    """Step and floor of every placement of the noise: local and flipout have each product of shared weights twice."""
    hidden = HIDDEN[0]
    widths = (timing.INPUTS, hidden, hidden, timing.CLASSES)
    trainers = {name: Trainer(widths, PRIORS["gaussian"], threads=threads, settings={"weight_noise": name, "kl": kl})
                for name, kl in (("weights", "sampled"), ("local", "closed"), ("flipout", "closed"))}
    times = in_turn({"floor": products(widths, timing.BATCH, threads)}
                    | {name: trainer.run for name, trainer in trainers.items()}, rounds)
    for name, trainer in trainers.items():
        step = [t / trainer.steps / trainer.size * 1e9 for t in times[name]]
        floor = [t * (1 if name == "weights" else 2) / trainer.size * 1e9 for t in times["floor"]]
        ratio = [s / f for s, f in zip(step, floor)]
        yield {"hidden": hidden, "weight_noise": name, "threads": threads, "ns_per_weight": statistics.median(step),
               "floor_ns_per_weight": statistics.median(floor), "ratio": statistics.median(ratio),
               "ratio_spread": spread(ratio)}


def small_records(rounds):
    """Microseconds a step of the paper's small networks, on one core."""
    trainers = {network: timing.trainer(network, "mixture") for network in timing.SMALL}
    times = in_turn({name: trainer.run for name, trainer in trainers.items()}, rounds)
    for name, trainer in trainers.items():
        step = [t / trainer.steps * 1e6 for t in times[name]]
        yield {"network": name, "us_per_step": statistics.median(step), "us_spread": spread(step)}


def noise_record(rounds, size=1_000_000):
    """Nanoseconds a float32 normal, ours and NumPy's, on one core."""
    eps, generator = np.empty(size, np.float32), np.random.default_rng(0)

    def ours(times):
        for step in range(times):
            noise.normals(eps, 0, noise.WEIGHTS, step, 0)

    def numpys(times):
        for _ in range(times):
            generator.standard_normal(out=eps, dtype=np.float32)

    times = in_turn({"ns": ours, "numpy_ns": numpys}, rounds)
    record = {name: statistics.median(values) / size * 1e9 for name, values in times.items()}
    return record | {"ratio_spread": spread([a / b for a, b in zip(times["numpy_ns"], times["ns"])])}


FIRST_STEP = """
import time
start = time.perf_counter()
import numpy, numba
others = time.perf_counter()
import bbbnp
imported = time.perf_counter()
bbbnp.BayesRegressor(hidden=(50,), epochs=1).fit(numpy.ones((9, 1)), numpy.arange(9.0))
print(imported - others, time.perf_counter() - start)
"""


def cold_record():
    """Import beyond NumPy and Numba, and from nothing to the first trained step, without and with a cache of code."""
    def new_process(*arguments, cache):
        begun = time.perf_counter()
        done = subprocess.run([sys.executable, *arguments], env={**os.environ, "NUMBA_CACHE_DIR": cache},
                              capture_output=True, text=True, check=True)
        return done.stdout, time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as cache:
        first, again = (new_process("-c", FIRST_STEP, cache=cache)[0].split() for _ in range(2))
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as out:
        whole = [new_process("-m", "bbbnp", "regression", "--out", out, cache=cache)[1] for _ in range(2)]
    return {"import_s": float(again[0]), "compile_s": float(first[1]), "cached_s": float(again[1]),
            "regression_first_s": whole[0], "regression_again_s": whole[1]}


def width_records(rounds, threads):
    """Cost per weight against H, in turn, and where it goes: sampling, products, and the rest (gradient and update)."""
    trainers = {hidden: Trainer((timing.INPUTS, hidden, hidden, timing.CLASSES), PRIORS["mixture"], threads=threads)
                for hidden in WIDTHS}
    contestants = {}
    for hidden, trainer in trainers.items():
        parts = {"step": trainer.run, **phases.of(trainer.problem, trainer.state, threads)}
        contestants |= {(hidden, name): part for name, part in parts.items()}
    times = in_turn(contestants, rounds)
    for hidden, trainer in trainers.items():
        of = {name: [t / trainer.size * 1e9 for t in values] for (h, name), values in times.items() if h == hidden}
        step = [t / trainer.steps for t in of.pop("step")]
        sampling, *products_ = map(statistics.median, of.values())
        yield {"hidden": hidden, "threads": threads, "ns_per_weight": statistics.median(step),
               "ns_spread": spread(step), "sampling": sampling, "products": sum(products_),
               "update": statistics.median(step) - sampling - sum(products_)}


def run(*, rounds=7, peers=False):
    """Everything; returns the JSON's content without its head."""
    threads = numba.config.NUMBA_NUM_THREADS
    counts = sorted({1, threads})
    blas = sorted({f"{pool['internal_api']} {pool['version']} {pool.get('architecture', '')}"
                   for pool in threadpool_info() if pool["user_api"] == "blas"})
    bar = tqdm(total=7, desc="bench", disable=None, leave=False)

    def counted(label, records):
        bar.set_postfix_str(label)
        result = list(records)
        bar.update()
        return result

    result = {"numba": numba.__version__, "numpy": np.__version__, "blas": blas, "value_computed": True}
    result["peers"] = counted("peers", peer_records(rounds) if peers else [])  # first: one that fails costs no time
    result["steps"] = counted("steps", step_records(rounds, counts))
    result["estimators"] = counted("estimators", estimator_records(rounds, threads))
    result["small"] = counted("small networks", small_records(rounds))
    result["noise"] = counted("noise", [noise_record(rounds)])[0]
    result["widths"] = counted("cost against H", width_records(rounds, threads))
    result["cold"] = counted("cold start", [cold_record()])[0]
    bar.close()
    return result


def table(result):
    """The results as lines of text."""
    lines = [f"{'784-H-H-10, batch 128':28}{'threads':>8}{'ns/weight':>11}{'floor':>8}{'ratio':>7}   from .. to"]
    for r in result["steps"]:
        name = f"H = {r['hidden']}, {r['prior']} prior"
        lines.append(f"{name:28}{r['threads']:8}{r['ns_per_weight']:11.2f}{r['floor_ns_per_weight']:8.2f}"
                     f"{r['ratio']:7.2f}   {r['ratio_spread'][0]:.2f} to {r['ratio_spread'][1]:.2f}")
    for r in result["estimators"]:
        lines.append(f"{'H = ' + str(r['hidden']) + ', noise in ' + r['weight_noise']:28}{r['threads']:8}"
                     f"{r['ns_per_weight']:11.2f}{r['floor_ns_per_weight']:8.2f}{r['ratio']:7.2f}   "
                     f"{r['ratio_spread'][0]:.2f} to {r['ratio_spread'][1]:.2f}, floor of its own products")
    for r in result["widths"]:
        lines.append(f"{'H = ' + str(r['hidden']):28}{r['threads']:8}{r['ns_per_weight']:11.2f}   sampling "
                     f"{r['sampling']:.2f}, products {r['products']:.2f}, gradient and update {r['update']:.2f}")
    lines += [f"{r['network']:28}{r['us_per_step']:27.1f} us a step" for r in result["small"]]
    for r in result["peers"]:
        network = r.get("network") or f"H = {r['hidden']}"
        cost, unit = (r["ns_per_weight"], "ns/weight") if "hidden" in r else (r["us_per_step"], "us a step")
        lines.append(f"{r['peer'] + ' ' + r['version']:28}{network + ', ' + r['prior']:>24}{cost:10.1f} {unit}; "
                     f"we take {r['ratio']:.3f} of it")
    n, cold = result["noise"], result["cold"]
    return "\n".join(lines + [
        f"a normal {n['ns']:.2f} ns, NumPy's {n['numpy_ns']:.2f}",
        f"import {cold['import_s']:.2f} s beyond numpy and numba; first step after {cold['compile_s']:.1f} s without a "
        f"cache of compiled code, {cold['cached_s']:.1f} s with it; bbbnp regression in all "
        f"{cold['regression_first_s']:.0f} s, then {cold['regression_again_s']:.0f} s"])
