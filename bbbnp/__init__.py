"""Bayes by Backprop (Blundell et al. 2015) with every gradient derived by hand.

Reading order: `bbbnp.reference`, the whole algorithm in plain NumPy; then the chapters of `bbbnp.kernels` (stack,
vectormath, noise, posterior, prior, divergence, likelihood, activation, microkernel, product, dense, draw, pruning,
dropout, second_product, placement, optimizer, elbo, tiles, fused, hotloop, predictive, thompson); then what people
meet: `objective` and `study`, the free energy as an ordinary function; `gradcheck` and `exact`, the proofs;
`temperature`, which posterior a loss targets; `parameters`, `estimator`, `classifier` and `model`, the two models;
`training` and `prediction`, the loops around the kernels; `pruning`; `bandit` and `game`; `data` and `datafiles`, what
to train on.
"""

__version__ = "0.1.0"

from bbbnp.architecture import Architecture
from bbbnp.bandit import ThompsonSampler
from bbbnp.checkpoint import ModelFileError
from bbbnp.model import BayesClassifier, BayesRegressor, load
from bbbnp.objective import GaussianPrior, Objective, ScaleMixture, minibatch_weights
from bbbnp.pruning import prune
from bbbnp.study import Key, free_energy, free_energy_gradient, unit_noise, weight_noise
from bbbnp.temperature import effective_temperature
from bbbnp.training import DivergenceError

__all__ = [
    "Architecture", "BayesClassifier", "BayesRegressor", "DivergenceError", "GaussianPrior", "Key", "ModelFileError",
    "Objective", "ScaleMixture", "ThompsonSampler", "effective_temperature", "free_energy", "free_energy_gradient",
    "load", "minibatch_weights", "prune", "unit_noise", "weight_noise"]
