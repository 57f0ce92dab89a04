"""Recipes of losses on the axis of the effective temperature: notebooks/TEMPERATURE.md and its figure (E26)."""

from typing import NamedTuple

from bbbnp.objective import minibatch_weights
from bbbnp.temperature import effective_temperature

# 784-400-400-10 on the training images of MNIST
EXAMPLES, BATCH, WEIGHTS, NOISE = 60_000, 100, 478_410, 0.1
BATCHES = EXAMPLES // BATCH
GEOMETRIC = minibatch_weights("geometric", [BATCH] * BATCHES)


class Recipe(NamedTuple):
    """The loss of a minibatch in words, and as `effective_temperature` takes it; the temperature as a formula."""

    loss: str
    settings: dict
    formula: str

    @property
    def temperature(self):
        """Of the posterior that this loss targets, for the numbers of this module."""
        return effective_temperature(EXAMPLES, batches=BATCHES, weights=WEIGHTS, **self.settings)


RECIPES = (
    Recipe("sum NLL + KL/M", {"kl_weight": 1 / BATCHES}, "1"),
    Recipe("sum NLL + 2^(M−i)/(2^M − 1) KL", {"kl_weight": GEOMETRIC}, "1"),
    Recipe("N/B sum NLL + KL", {"likelihood_weight": EXAMPLES / BATCH}, "1"),
    Recipe("mean NLL + KL/N", {"likelihood": "mean", "kl_weight": 1 / EXAMPLES}, "1"),
    Recipe("sum NLL + weights that sum to two", {"kl_weight": 2 * GEOMETRIC}, "2"),
    Recipe("sum NLL + KL", {}, "M"),
    Recipe("mean NLL + KL/M", {"likelihood": "mean", "kl_weight": 1 / BATCHES}, "B"),
    Recipe("mean NLL + KL", {"likelihood": "mean"}, "N"),
    Recipe("mean NLL + mean KL", {"likelihood": "mean", "kl": "mean"}, "N/P"),
    Recipe("mean NLL + mean KL/M", {"likelihood": "mean", "kl": "mean", "kl_weight": 1 / BATCHES}, "B/P"),
    Recipe("N mean NLL + KL/M", {"likelihood": "mean", "likelihood_weight": EXAMPLES, "kl_weight": 1 / BATCHES}, "1/M"),
    Recipe("sum NLL + KL/M, KL summed over 10 draws", {"kl_weight": 1 / BATCHES, "draws": 10, "kl_draws": "sum"}, "S"),
    Recipe("MSE + KL/N", {"likelihood": "mean", "likelihood_weight": 2 * NOISE**2, "kl_weight": 1 / EXAMPLES},
           "1/(2 noise²)"),
    Recipe("MSE + KL", {"likelihood": "mean", "likelihood_weight": 2 * NOISE**2}, "N/(2 noise²)"))


def table():
    """The recipes as Markdown, coldest first."""
    def number(value):
        return f"{value:,.0f}" if value > 0.99 else f"{value:.3g}"

    rows = [f"| {recipe.loss} | {recipe.formula} | {number(recipe.temperature)} |"
            for recipe in sorted(RECIPES, key=lambda recipe: recipe.temperature)]
    return "\n".join([
        "| loss of a minibatch | T | here |", "|---|---|---|", *rows, "",
        f"Here: N = {EXAMPLES:,} examples, minibatches of B = {BATCH}, M = {BATCHES} of them, P = {WEIGHTS:,} weights "
        f"(784-400-400-10), and for the squared error a noise of {NOISE:g}."])


def figure(path=None):
    """Draw the recipes on the axis of the temperature."""
    from bbbnp.plots_questions import temperatures
    return temperatures([(recipe.loss, recipe.temperature) for recipe in RECIPES], path)
