# %% [markdown]
# # 00 Start here
#
# ![Forty curves, each the answer of one network drawn from the posterior. Between 0 and 0.5, where points are, all run as one; left and right of the points they fan out.](../pictures/lecture_00.png)
#
# **You will be able to** say what the course proves and in which order; read its notation; run a cell, let a check
# judge an answer, and use what it says.
#
# **You need** Python with NumPy, derivatives and the chain rule, and a first course in probability: mean, variance,
# Bayes' rule. The quiz in section 7 tells whether you have them.
#
# **Minutes**: 20 to read, 10 for the exercises. **Equations**: a first look at E1, E2 and E4 of the
# [ledger](EQUATIONS.md); symbols are in the [notation table](NOTATION.md).

# %% [markdown]
# **The map.** Thirteen lectures; those without a link are to come. Each stands on those named in its line.
#
# | lecture | its question | needs |
# |---|---|---|
# | 00 Start here | what is all this for? | |
# | 01 Beliefs on a grid | how do data change a belief? | 00 |
# | [02 The exact answer](02_the_exact_answer.ipynb) | where can it be solved on paper? | 00 |
# | [03 Variational inference in one dimension](03_variational_inference.ipynb) | what is the best bell curve? | 02 |
# | [04 The reparameterisation trick](04_the_reparameterisation_trick.ipynb) | how is a random number differentiated? | 03 |
# | [05 Backpropagation by hand](05_backpropagation_by_hand.ipynb) | what does each weight contribute? | 00 |
# | [06 Bayes by Backprop](06_bayes_by_backprop.ipynb) | how do all weights learn a mean and a width? | 03, 04, 05 |
# | 07 Kernels that run at the speed of the machine | how is it made fast? | 06 |
# | [08 Regression with doubt](08_regression_with_doubt.ipynb) | noise of the data or doubt about the weights? | 02, 06 |
# | 09 Priors, minibatches, the KL weight | which scalings are right? | 06 |
# | 10 Classification and calibration | does it know when it does not know? | 06 |
# | 11 Using the uncertainty | what is doubt good for? | 08 |
# | 12 Less noise, and the limits | how good can it get? | 06 |
#
# Short of time: 00, 02, 03, 04, 06, 08. If you know backpropagation by heart, skip 05, but do its last exercise.
#
# **How a lecture works.** All have the nine sections of this one. Run the cells from top to bottom. A cell that asserts
# something proves the sentence above it. An exercise is a function whose body you write; the line `check.…` below it
# then says that it is right, or what is wrong, and never the answer. Hints are folded, solutions are one click away.
# `E13` is an equation of the ledger: it stands once in `bbbnp/kernels/`, once in `bbbnp/reference.py`, and in one
# lecture; `pytest -m E13` runs its tests.

# %%
import numpy as np

from bbbnp import BayesRegressor, plots_course as plots, reference
from bbbnp.course import check, loops, show
from bbbnp.experiments.regression import curve, make_data
from bbbnp.gradcheck import numerical_gradient, worst_entry
from bbbnp.kernels import posterior
from bbbnp.prediction import sample_outputs

# %% [markdown]
# ## 1 A question
#
# A network has learned a curve from points between nought and a half. Ask it about one and a quarter: it answers in the
# same calm voice. How could it say that it does not know? Suppose you had not one network, but forty that all fit the
# points. Where they agree, believe them. Where they part, nobody knows. Where do forty such networks come from?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# Three networks, each a straight line $f = w x$: the slope $w$ is 0, 1 or 2. Before there are data, each is believed
# with $P(w) = 1/3$. One point arrives, $x = 1$, $y = 1$, with noise of deviation $\tau = 1$. How well does each slope
# explain it? $P(\mathcal{D} \mid w)$ is proportional to $e^{-(y - w x)^2/2}$:
#
# | $w$ | $e^{-(1 - w)^2/2}$ | divided by the sum, 2.213 |
# |---|---|---|
# | 0 | 0.607 | 0.274 |
# | 1 | 1 | 0.452 |
# | 2 | 0.607 | 0.274 |
#
# The last column is what to believe now. At the point itself, $x = 1$, the three predict 0, 1 and 2, on average 1, with
# the deviation $\sqrt{0.274 \cdot 1 + 0.274 \cdot 1} = 0.740$. At $x = 3$ they predict 0, 3 and 6: on average 3, with
# the deviation 2.221, three times as much. Nobody told them to be careful far away. They just part.

# %%
slopes, prior = np.array([0.0, 1.0, 2.0]), np.full(3, 1 / 3)
log_likelihood = -(1 - slopes * 1)**2 / 2 - np.log(2 * np.pi) / 2
belief = prior * np.exp(log_likelihood)
belief = belief / belief.sum()
spread = {x: np.sqrt(belief @ (slopes * x - belief @ slopes * x)**2) for x in (1, 3)}
print("belief", belief.round(3), f" deviation {spread[1]:.3f} at 1, {spread[3]:.3f} at 3")
assert np.allclose(belief, [0.274, 0.452, 0.274], atol=5e-4)
assert abs(spread[1] - 0.740) < 5e-4 and abs(spread[3] - 2.221) < 1e-3

# %% [markdown]
# ## 3 Derivation
#
# The whole course in eight steps. Steps 1 to 4 are complete here, for a list of slopes. The others say what a later
# lecture proves.
#
# **Step 1. Bayes' rule (E1).** The probability of $w$ and $\mathcal{D}$ together can be written in two ways,
# $P(w \mid \mathcal{D})\,P(\mathcal{D}) = P(\mathcal{D} \mid w)\,P(w)$. Divide:
#
# $$P(w \mid \mathcal{D}) = \frac{P(\mathcal{D} \mid w)\,P(w)}{P(\mathcal{D})}, \qquad P(\mathcal{D}) = \sum_w
# P(\mathcal{D} \mid w)\,P(w).$$
#
# **Step 2. Predict by averaging (E1).** Each $w$ has its own prediction; weight it by the belief in $w$:
# $P(y \mid x, \mathcal{D}) = \sum_w P(y \mid x, w)\,P(w \mid \mathcal{D})$. That is the fan: many networks, each as
# often as it deserves. (Lectures 01 and 02.)
#
# **The trouble.** A network with 10,000 weights, three values each, has $3^{10000}$ terms in $P(\mathcal{D})$. No sum,
# no integral of that size can be done. So we settle for a distribution $q(w)$ that we *can* handle, as near to the
# posterior as possible.

# %% [markdown]
# **Step 3. How near.** The measure is
# $\mathrm{KL}[q \,\|\, P(w \mid \mathcal{D})] = \sum_w q(w) \log\frac{q(w)}{P(w \mid \mathcal{D})}$. It is zero if the
# two are equal, and never negative: the curve $\log t$ bends downwards and touches the line $t - 1$ at $t = 1$, so
# $\log t \le t - 1$, and with $t = P(w \mid \mathcal{D})/q(w)$
#
# $$-\mathrm{KL} = \sum_w q(w) \log\frac{P(w \mid \mathcal{D})}{q(w)} \le \sum_w
# \big[P(w \mid \mathcal{D}) - q(w)\big] = 1 - 1 = 0.$$
#
# **Step 4. The evidence steps aside (E2).** By Step 1,
# $\log P(w \mid \mathcal{D}) = \log P(\mathcal{D} \mid w) + \log P(w) - \log P(\mathcal{D})$. Put that into Step 3.
# $\log P(\mathcal{D})$ does not depend on $w$, and $q$ sums to one, so it comes out of the sum:
#
# $$\mathrm{KL} = \underbrace{\sum_w q(w)\,\big[\log q(w) - \log P(w) - \log P(\mathcal{D} \mid w)\big]}_{F,
# \text{ the free energy}} + \log P(\mathcal{D}).$$
#
# The last term is a number that $q$ cannot change. So the $q$ with the smallest $F$ is the nearest to the posterior,
# and $F$ needs no impossible sum: only averages over $q$. (Lecture 03.)
#
# **Step 5. A bell for every weight.** $q$ gives weight $w_j$ a Gaussian, with mean $\mu_j$ and deviation
# $\sigma_j = \log(1 + e^{\rho_j})$, positive whatever $\rho_j$ is (E3; lecture 04).

# %% [markdown]
# **Step 6. Draw (E4).** $w = \mu + \sigma\varepsilon$, with $\varepsilon$ standard normal. A draw of the weights is now
# an ordinary function of $\mu$ and $\rho$, with ordinary derivatives (lecture 04).
#
# **Step 7. Learn.** Backpropagation gives $\mathrm{d}w$ (lecture 05); two more lines turn it into $\mathrm{d}\mu$ and
# $\mathrm{d}\rho$ (E13; lecture 06). Step by step, $F$ goes down.
#
# **Step 8. Use it.** Draw forty networks from $q$ and let them speak: Step 2 again (E18; lectures 08, 10 and 11).
#
# > **The one idea.** A weight is not a number but a belief, a bell curve over numbers. Draw all weights, and you have
# > one network; draw again, and you have another. Where the data have spoken they agree, elsewhere they do not, and
# > that is how a network says "I do not know".
#
# ## 4 The same in code
#
# One page of plain NumPy, `bbbnp/reference.py`, has every equation in a line or two. The ones of Steps 1, 5 and 6:

# %%
show.source(reference.bayes_rule, reference.softplus, reference.reparameterize)

# %% [markdown]
# Each has a twin that is compiled, fast, and finite where the page is not. That of Step 5 never takes the exponential
# of a large number: `decay(rho)` is $e^{-|\rho|}$, and `_mantissa` is what it must be multiplied by, where $\rho < 0$.
# Who has them already may give them:

# %%
show.source(posterior.softplus, posterior.reparameterize)

# %%
rng = np.random.default_rng(0)
mu, rho, eps = rng.normal(size=5), rng.uniform(-3, 3, 5), rng.normal(size=5)
by_kernel = [posterior.reparameterize(m, r, e) for m, r, e in zip(mu, rho, eps)]
difference = np.abs(by_kernel - reference.reparameterize(mu, rho, eps)).max()
print(f"largest difference {difference:.0e}")
assert difference < 1e-14

# %% [markdown]
# Code is read like this everywhere: `mu` is $\mu$, `eps` is $\varepsilon$, `dmu` is the gradient of the loss in $\mu$
# and has its shape. `x_backward` stands below `x`.
#
# ## 5 Proof
#
# **Step 1 and Step 4** for the three slopes, with numbers. The reference's Bayes' rule agrees with the table above; $F$
# of any $q$ lies above $-\log P(\mathcal{D})$ by just the KL; and $F$ of the posterior lies on it.

# %%
by_rule, evidence = reference.bayes_rule(log_likelihood + np.log(prior))
assert np.allclose(by_rule, belief, rtol=1e-12)

def free_energy(q):
    return q @ (np.log(q) - np.log(prior) - log_likelihood)

for name, q in (("prior", prior), ("some q", np.array([0.1, 0.3, 0.6])), ("posterior", belief)):
    kl = q @ np.log(q / belief)
    print(f"{name:9}: F = {free_energy(q):.6f}, KL - log P(D) = {kl - np.log(evidence):.6f}")
    assert abs(free_energy(q) - (kl - np.log(evidence))) < 1e-12 and kl >= -1e-12

# %% [markdown]
# **A gradient is proved by finite differences**: move one input a little, look how far the output moves. Here for the
# slope of softplus, $\mathrm{d}\sigma/\mathrm{d}\rho = s(\rho)$ (E3). Every gradient of the course is proved so.

# %%
numeric = numerical_gradient(lambda r: reference.softplus(r).sum(), rho, 0.02)
error = worst_entry(reference.logistic(rho), numeric)[0]
print(f"worst relative error {error:.0e}")
assert error < 1e-7

# %% [markdown]
# **The fan.** 50 hidden units and 600 points, made as those of Figure 5 of the paper. Training takes seconds; then we
# draw forty networks, and every fourth point.

# %%
X, y = make_data("paper_figure", 600, np.random.default_rng(0))
net = BayesRegressor(hidden=(50,), epochs=loops(3000, fast=1000), learning_rate=1e-2, progress=False)
net.fit(X, y)

def networks(x, draws):
    """What so many networks, drawn from q, answer at x: shape (draws, len(x))."""
    inputs = ((x[:, None] - net.x_shift_) / net.x_scale_).astype(net.dtype)
    outputs = sample_outputs(net.architecture_, net.mu_, net.rho_, inputs, draws=draws)
    return net.y_shift_ + net.y_scale_ * outputs[:, :, 0].astype(float)

# %%
x = np.linspace(-0.25, 1.25, 151)
show.picture(plots.fan(x, networks(x, 40), X[::4, 0], y[::4]),
             "Forty curves, each the answer of one network drawn from the posterior. Between 0 and 0.5, "
             "where points are, all run as one; left and right of the points they fan out.", main=True)

# %%
many = networks(np.array([0.25, 1.25]), 400)
among, outside = many.std(axis=0)
print(f"deviation of the answers: {among:.3f} at 0.25, {outside:.3f} at 1.25")
assert outside > 8 * among and abs(many[:, 0].mean() - curve(0.25)) < 0.05

# %% [markdown]
# That is Figure 5 of the paper, told by networks in place of quantiles, and the answer to the question: ask the forty.
# The twelve other lectures show why it is right, what it costs, and where it is not to be trusted.
#
# ## 6 Play
#
# Predict first: with 3 networks in place of 40, would you still see where the data are? And with 40, is the fan
# narrower at $-0.2$ or at $0.7$, which are equally far from the points? Then change one thing.

# %%
draws, left, right = 3, -0.25, 1.25

def play(draws, left, right):
    """The fan of so many networks, from left to right."""
    x = np.linspace(left, right, 121)
    figure = plots.fan(x, networks(x, int(draws)), X[::4, 0], y[::4])
    return show.picture(figure, f"The same fan with {int(draws)} networks, from {left} to {right}.")

show.slider(play, draws=(1, 100), left=(-2.0, 0.0, 0.25), right=(0.5, 3.0, 0.25))
play(draws, left, right)

# %%
left_of, right_of = networks(np.array([-0.2, 0.7]), 400).std(axis=0)
print(f"deviation of 400 networks at -0.2: {left_of:.3f}, at 0.7: {right_of:.3f}")
assert min(left_of, right_of) > 2 * among

# %% [markdown]
# Three networks are enough to see *that* they part, and too few to say by how much. The two sides need not be alike:
# nothing here measures how far away the points are.
#
# ## 7 Exercises
#
# Solutions: [the solved notebook](solutions/00_start_here.ipynb). Do write something wrong on purpose, and read what
# the check says.
#
# **Warm-up: a quiz on what you need.** Return four answers:
#
# * `means`: the mean of each column of `X`, shape (5, 3);
# * `slope`: the derivative of $\log(1 + e^{2u})$ in $u$, for each entry of `u`, shape (4,);
# * `variance`: that of $5 + b\,e$, where $e$ has mean 0 and *deviation* $s$;
# * `chance`: a coin has heads on both sides with probability $p$, and is honest otherwise. It shows heads. The
#   probability now that it has two heads.
#
# If two of the four are new to you, read up on them first: means along an axis, the chain rule, the variance of a sum,
# Bayes' rule.
#
# <details><summary>Hint</summary>axis=0; the chain rule; a constant does not vary, a factor comes out squared; heads
# comes about in two ways, and the chance is the part of one.</details>

# %%
def quiz(X, u, s, b, p):
    ### BEGIN SOLUTION
    means = X.mean(axis=0)
    slope = 2 / (1 + np.exp(-2 * u))
    variance = b**2 * s**2
    chance = p / (p + (1 - p) / 2)
    return means, slope, variance, chance
    ### END SOLUTION

check.quiz(quiz)

# %% [markdown]
# **Core: a first draw (E4).** Weights from their means `mu`, their `rho` and the noise `eps`. Write $\sigma$ out,
# without the package.
#
# <details><summary>Hint</summary>Steps 5 and 6, a line each.</details>

# %%
def first_draw(mu, rho, eps):
    ### BEGIN SOLUTION
    sigma = np.log(1 + np.exp(rho))
    return mu + sigma * eps
    ### END SOLUTION

check.first_draw(first_draw)

# %% [markdown]
# **Stretch: any number of slopes (E1).** Section 2 for any `slopes` and `prior`, both of shape (K,), data `x` and `y`,
# both of shape (N,), and deviation `noise`. Return the posterior, shape (K,), and the deviation of $w\,x_\text{new}$
# over it.
#
# <details><summary>Hint</summary>Points are independent, so their likelihoods multiply: the exponents add up. slopes[:,
# None]
# * x has shape (K, N). The factor before the exponential is the same for all slopes.</details>

# %%
def posterior_of_slopes(slopes, prior, x, y, noise, x_new):
    ### BEGIN SOLUTION
    squares = ((y - slopes[:, None] * x) / noise)**2
    joint = prior * np.exp(-squares.sum(axis=1) / 2)
    belief = joint / joint.sum()
    f = slopes * x_new
    return belief, np.sqrt(belief @ (f - belief @ f)**2)
    ### END SOLUTION

check.slopes(posterior_of_slopes)

# %% [markdown]
# ## 8 What goes wrong
#
# [The museum](MUSEUM.md) has twenty-five bugs of published code. All hide from accuracy: that is why they lived, and
# why this course proves things. Every lecture shows three. Here are three that need no theory.
#
# **Exhibit 24, naive softplus.** $\log(1 + e^\rho)$ as it is written, as you may have written it above. It overflows at
# $\rho = 800$, and below $-37$ it is exactly zero, so that $\log\sigma$ is infinite. Around zero, where all weights
# start, nothing shows.

# %%
with np.errstate(all="ignore"):
    naive = np.log(1 + np.exp(np.array([800.0, 0.0, -40.0])))
right = np.array([posterior.softplus(r) for r in (800.0, 0.0, -40.0)])
print("naive ", naive, "\nkernel", right)
assert np.isinf(naive[0]) and naive[2] == 0 and naive[1] == right[1] and right[0] == 800 and right[2] > 0

# %% [markdown]
# **Exhibit 25, a stray constant.** The density lacks $\tfrac12\log 2\pi$. The belief in the slopes is the same to the
# last digit, since Bayes' rule divides it out. The evidence is wrong, and so is every comparison with another
# program's.

# %%
without, wrong_evidence = reference.bayes_rule(log_likelihood + np.log(2 * np.pi) / 2 + np.log(prior))
print("belief", without.round(3), f" evidence {wrong_evidence:.3f}, where it is {evidence:.3f}")
assert np.allclose(without, belief, rtol=1e-12)
assert abs(wrong_evidence / evidence - np.sqrt(2 * np.pi)) < 1e-12

# %% [markdown]
# **Exhibit 22, x equals x.** A test compares a value with itself, or asks only that it is not NaN. It is green whatever
# the code does. So give every check something wrong, and see that it complains; our own are tested that way.

# %%
def empty_check(answer):
    return answer == answer and np.isfinite(answer)

wrong_slope = reference.logistic(-rho)  # the sign is wrong
print("the empty check:", all(empty_check(g) for g in wrong_slope),
      f" finite differences: wrong by {worst_entry(wrong_slope, numeric)[0]:.0%}")
assert all(empty_check(g) for g in wrong_slope) and worst_entry(wrong_slope, numeric)[0] > 0.1

# %% [markdown]
# ## 9 Key points
#
# * A belief over weights is a crowd of networks. Where they agree, believe them.
# * $F = \mathrm{KL}[q \,\|\, P(w \mid \mathcal{D})] - \log P(\mathcal{D})$: make $F$ small, and $q$ comes near the
#   posterior, though nobody knows it.
# * $w = \mu + \sigma\varepsilon$ with $\sigma = \log(1 + e^\rho)$: two numbers for each weight, and noise.
# * Every claim is computed, every gradient is proved by finite differences, every check has been seen to fail.
#
# **Glossary.** *Prior* $P(w)$: what is believed before. *Likelihood* $P(\mathcal{D} \mid w)$: how well $w$ explains the
# data. *Posterior* $P(w \mid \mathcal{D})$: what is believed after. *Evidence* $P(\mathcal{D})$: the sum that divides. *Free
# energy* $F$: what training makes small. *Nat*: the unit of $F$, a natural logarithm. *Fan*: curves of many draws.
#
# **Eight questions**, on the notation too. 1. Which symbol is a weight's width, and which do we train in its place? 2.
# What is `drho`, and which shape has it? 3. Which is a draw: $\mu$, $w$ or $q$? 4. Why is $P(\mathcal{D})$ out of reach
# for a network? 5. May $F$ be negative? 6. Which of $\varepsilon$ and $\sigma$ is learned? 7. What is $P(w)$ called,
# and what $P(\mathcal{D} \mid w)$? 8. Why does a check that never fails prove nothing?
#
# **Further reading.** Blundell, Cornebise, Kavukcuoglu and Wierstra (2015), *Weight Uncertainty in Neural Networks*:
# ten pages, which this course derives. MacKay (2003), *Information Theory, Inference, and Learning Algorithms*,
# chapters 2, 3 and 41. In this package: [`reference.py`](../bbbnp/reference.py), and the [README](../README.md).
