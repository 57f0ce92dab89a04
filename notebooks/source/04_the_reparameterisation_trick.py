# %% [markdown]
# # 04 The reparameterisation trick
#
# ![Variance of two estimates of one gradient against sigma, both axes logarithmic: that of the score method rises without bound as sigma falls, that of the pathwise method falls with the square of sigma.](../pictures/lecture_04.png)
#
# **You will be able to** write $\sigma = \log(1 + e^\rho)$ so that no $\rho$ breaks it; differentiate through a random
# draw; say why the other way to do it needs thousands of draws more.
#
# **You need** lecture 03 for the reason why we want gradients of an average, and the chain rule.
#
# **Minutes**: 50 to read, 45 for the exercises. **Equations**: E3, E4 of the [ledger](EQUATIONS.md); symbols are in the
# [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import plots_course as plots, reference
from bbbnp.course import check, loops, show
from bbbnp.gradcheck import ridders
from bbbnp.kernels import posterior

# %% [markdown]
# ## 1 A question
#
# A machine throws darts. Two screws set where it aims and how much it spreads. After one throw you see where the dart
# landed and how good that was, and you may turn the screws a little. But the
# throw was random. How can one random throw tell which way to turn a screw? And should you ask "was it good?", or
# "which way would have been better?"

# %% [markdown]
# ## 2 By hand on the smallest case
#
# One weight with $\mu = 1$ and $\rho = 0$, so $\sigma = \log 2 = 0.6931$. The loss is $f(w) = w^2$. The noise drawn is
# $\varepsilon = -1$:
#
# * the draw is $w = \mu + \sigma\varepsilon = 1 - 0.6931 = 0.3069$, and $\mathrm{d}w = f'(w) = 2w = 0.6137$;
# * $\mu$ moves $w$ one to one: $\mathrm{d}\mu = 0.6137$;
# * $\rho$ moves $\sigma$ by $s(0) = 1/2$, and $\sigma$ moves $w$ by $\varepsilon = -1$: $\mathrm{d}\rho = 0.6137 \cdot
#   (-1) \cdot \tfrac12 = -0.3069$.
#
# With the noise held, $f$ is an ordinary function of $\mu$ and $\rho$, and two nearby values prove it:

# %%
def f_of(mu, rho, eps=-1.0):
    return (mu + np.log(1 + np.exp(rho)) * eps)**2

h = 1e-5
dmu = (f_of(1 + h, 0.0) - f_of(1 - h, 0.0)) / (2 * h)
drho = (f_of(1.0, h) - f_of(1.0, -h)) / (2 * h)
print(f"dmu = {dmu:.4f}, drho = {drho:.4f}")
assert abs(dmu - 0.6137) < 1e-4 and abs(drho + 0.3069) < 1e-4

# %% [markdown]
# ## 3 Derivation
#
# **Step 1. A deviation must be positive (E3).** Any real $\rho$ gives $\sigma = \log(1 + e^\rho) > 0$. Its slope, by
# the chain rule, is
# $e^\rho/(1 + e^\rho)$; divide both by $e^\rho$:
#
# $$\frac{\mathrm{d}\sigma}{\mathrm{d}\rho} = \frac{1}{1 + e^{-\rho}} = s(\rho).$$
#
# **Step 2. The same without overflow.** For $\rho > 0$ take $e^\rho$ out: $\log(e^\rho(e^{-\rho} + 1)) = \rho + \log(1 +
# e^{-\rho})$. Both signs in one:
#
# $$\sigma = \max(\rho, 0) + \log(1 + e^{-|\rho|}).$$
#
# The exponential is now at most 1. For large $|\rho|$ it is small, and $\log(1 + x)$ must be computed as `log1p(x)`,
# since $1 + x$ rounds to 1 below $10^{-16}$.
#
# **Step 3. The slope of $\log\sigma$.** $r(\rho) = s(\rho)/\sigma$. For $\rho \to -\infty$ both go to zero like
# $e^\rho$: $s \approx e^\rho$ and $\sigma \approx e^\rho$, so $r \to 1$. To compute it there, divide both by
# $e^\rho$ first: $s\,e^{-\rho} = 1/(1 + e^\rho)$ and $\sigma\,e^{-\rho} = \log(1 + e^\rho)/e^\rho$, which is near 1.
#
# **Step 4. Back from $\sigma$ to $\rho$.** $e^\sigma = 1 + e^\rho$, so $\rho = \log(e^\sigma - 1)$.

# %% [markdown]
# **Step 5. What we want.** The average $L(\mu, \sigma) = \mathbb{E}_q f(w) = \int f(w)\,q(w)\,\mathrm{d}w$ with $q =
# \mathcal{N}(\mu, \sigma^2)$, and its gradient. The parameters sit in the density that we average over.
#
# **Step 6. Move them out (E4).** Let $\varepsilon \sim \mathcal{N}(0, 1)$ and $w = \mu + \sigma\varepsilon$. The chance
# that $w < a$ is the chance that
# $\varepsilon < (a - \mu)/\sigma$; its derivative in $a$ is the density, $\frac1\sigma\mathcal{N}\big(\frac{a -
# \mu}{\sigma}; 0, 1\big) = \mathcal{N}(a; \mu, \sigma^2)$. So this $w$ has the law $q$, and
#
# $$L = \int f(\mu + \sigma\varepsilon)\,\mathcal{N}(\varepsilon; 0, 1)\,\mathrm{d}\varepsilon.$$
#
# **Step 7. Differentiate inside.** The density is now free of parameters, so for smooth $f$ that does not grow too fast
#
# $$\frac{\partial L}{\partial\mu} = \mathbb{E}\,f'(w), \qquad \frac{\partial L}{\partial\sigma} =
# \mathbb{E}\,[f'(w)\,\varepsilon], \qquad \frac{\partial L}{\partial\rho} =
# \mathbb{E}\,[f'(w)\,\varepsilon\,s(\rho)].$$
#
# One draw gives one unbiased estimate of all: $\mathrm{d}\mu = \mathrm{d}w$ and $\mathrm{d}\rho =
# \mathrm{d}w\,\varepsilon\,s(\rho)$ (E4, the *pathwise* estimate).

# %% [markdown]
# **Step 8. The other way: the score.** Leave the parameters where they are and differentiate $q$. Since $\partial
# q/\partial\mu = q\,\partial\log q/\partial\mu$,
#
# $$\frac{\partial L}{\partial\mu} = \int f\,q\,\frac{\partial\log q}{\partial\mu}\,\mathrm{d}w =
# \mathbb{E}\Big[f(w)\,\frac{w - \mu}{\sigma^2}\Big] = \mathbb{E}\Big[f(w)\,\frac{\varepsilon}{\sigma}\Big].$$
#
# It needs no $f'$. In $\sigma$, from $\log q = -\log\sigma - (w - \mu)^2/(2\sigma^2) + \dots$, it is
# $\mathbb{E}[f(w)(\varepsilon^2 - 1)/\sigma]$.
#
# **Step 9. Their variances, for $f = w^2$.** Pathwise: $f' = 2w$, whose variance is $4\sigma^2$. Score: $(\mu +
# \sigma\varepsilon)^2\varepsilon/\sigma$ has mean $2\mu$, and
#
# $$\mathbb{E}\big[(\mu + \sigma\varepsilon)^4\varepsilon^2\big] = \mu^4\,\mathbb{E}\varepsilon^2 +
# 6\mu^2\sigma^2\,\mathbb{E}\varepsilon^4 + \sigma^4\,\mathbb{E}\varepsilon^6 = \mu^4 + 18\mu^2\sigma^2 + 15\sigma^4,$$
#
# since odd moments vanish and the even ones are 1, 3, 15. Divide by $\sigma^2$ and take off $4\mu^2$:
#
# $$\mathrm{Var} = \frac{\mu^4}{\sigma^2} + 14\mu^2 + 15\sigma^2.$$
#
# As $\sigma$ falls the first is harmless and the second explodes.

# %% [markdown]
# > **The one idea.** Let the noise come from outside. Then a draw is a function of the parameters, $w = \mu +
# > \sigma\varepsilon$, and an ordinary derivative goes through it. It asks "which way would have been better?", not
# > "was it good?"
#
# ## 4 The same in code

# %%
show.source(reference.softplus, reference.logistic, reference.reparameterize, reference.reparameterize_backward)

# %%
show.source(posterior.softplus, posterior.log_softplus_backward, posterior.reparameterize_backward)

# %% [markdown]
# The page of NumPy is short and breaks at the ends. The kernels do not: `log1p_ratio(e)` is $\log(1 + e)/e$, and
# `_mantissa` is $\sigma\,e^{-\min(\rho, 0)}$ of Step 3. All are made of one exponential, `decay(rho)`, $e^{-|\rho|}$.
# Both it and `_mantissa` may be given, since for many weights they are made for all of them first.

# %%
ends = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
with np.errstate(all="ignore"):
    naive = np.log(1 + np.exp(ends))
    quotient = reference.logistic(ends) / naive
stable = np.array([posterior.softplus(rho) for rho in ends])
slopes = np.array([posterior.log_softplus_backward(rho) for rho in ends])
print("naive  ", naive, "\nkernel ", stable, "\nnaive r", quotient, "\nkernel ", slopes)
assert np.isinf(naive[4]) and naive[1] == 0 and np.isfinite(stable).all()
assert abs(stable[1] / np.exp(-40) - 1) < 1e-15 and slopes[0] == 1

# %% [markdown]
# ## 5 Proof
#
# **Finite differences**, for one draw with its noise held:

# %%
rng = np.random.default_rng(0)
worst = 0.0
for mu, rho, eps, dw in rng.normal(size=(20, 4)):
    right = posterior.reparameterize_backward(dw, rho, eps)
    numeric = (ridders(lambda z: dw * posterior.reparameterize(z, rho, eps), mu, 0.1),
               ridders(lambda z: dw * posterior.reparameterize(mu, z, eps), rho, 0.1))
    worst = max(worst, *(abs(a - b) for a, b in zip(right, numeric)))
print(f"{worst:.0e}")
assert worst < 1e-9

# %% [markdown]
# **On average both estimates are right.** For $f = w^2$ we know $L = \mu^2 + \sigma^2$, so the gradient is $(2\mu,
# 2\sigma)$. Deviations in units of the standard error:

# %%
def estimates(mu, sigma, draws, rng):
    """Pathwise and score estimates of the gradient in mu and sigma, shape (2, 2, draws)."""
    eps = rng.normal(size=draws)
    w = mu + sigma * eps
    f, df = w**2, 2 * w
    return np.array([[df, df * eps], [f * eps / sigma, f * (eps**2 - 1) / sigma]])

S = loops(400_000, fast=100_000)
g = estimates(1.0, 0.3, S, rng)
z = (g.mean(axis=2) - [2.0, 0.6]) / (g.std(axis=2) / np.sqrt(S))
print("means", g.mean(axis=2).round(3).tolist(), " z", z.round(1).tolist())
assert np.abs(z).max() < 5

# %% [markdown]
# **Their variances** are those of Step 9:

# %%
sigmas = np.geomspace(0.02, 2, 21)
measured = np.array([estimates(1.0, s, S, rng)[:, 0].var(axis=1) for s in sigmas])
predicted = np.array([4 * sigmas**2, 1 / sigmas**2 + 14 + 15 * sigmas**2]).T
ratio = measured / predicted
print("measured over predicted:", ratio.min().round(2), "to", ratio.max().round(2))
assert np.abs(ratio - 1).max() < 0.15
many = predicted[0, 1] / predicted[0, 0]
print(f"at sigma = {sigmas[0]:.2f} the score needs {many:,.0f} times as many draws")
assert many > 1e6 and abs(reference.softplus(-5.0) - 0.0067) < 1e-4

# %%
figure = plots.curves(sigmas, {"score, predicted": predicted[:, 1], "pathwise, predicted": predicted[:, 0]},
                      points={"score, measured": measured[:, 1], "pathwise, measured": measured[:, 0]},
                      xlabel=r"$\sigma$", ylabel=r"variance of $\mathrm{d}\mu$", log="xy")
show.picture(figure,
             "Variance of the estimates of d mu against sigma: that of the score method rises as sigma falls, "
             "that of the pathwise method falls; measured points lie on the predicted lines.", main=True)

# %% [markdown]
# Networks of this package start at $\rho = -5$, which is $\sigma = 0.0067$, smaller than anything in the figure. There
# the
# score is of no use without further tricks.
#
# ## 6 Play
#
# Predict first: with $P$ weights and $f = \sum_j w_j^2$, how do the two variances of one $\mathrm{d}\mu_j$ grow with
# $P$? Then change $\sigma$.

# %%
sigma, draws = 0.5, 4000

def play(sigma, draws):
    """Variance of the first weight's d mu against the number of weights, for f = |w|^2 and mu = 1."""
    counts, noise = 2**np.arange(7), np.random.default_rng(2).normal(size=(int(draws), 64))
    w = 1 + sigma * noise
    variances = {"score": [np.var((w[:, :P]**2).sum(axis=1) * noise[:, 0] / sigma) for P in counts],
                 "pathwise": [np.var(2 * w[:, 0]) for P in counts]}
    figure = plots.curves(counts, variances, log="xy", xlabel="weights $P$",
                          ylabel=r"variance of one $\mathrm{d}\mu$")
    return show.picture(figure, "The score's variance rises with the square of the number of weights; "
                        "the pathwise variance does not change.")

show.slider(play, sigma=(0.05, 2.0, 0.05), draws=(1000, 20000, 1000))
play(sigma, draws)

# %% [markdown]
# From 32 to 64 weights the score's variance grows by almost four, so with the square of their number:

# %%
noise = np.random.default_rng(3).normal(size=(20_000, 64))
score_32, score_64 = (np.var(((1 + 0.5 * noise[:, :P])**2).sum(axis=1) * noise[:, 0]) for P in (32, 64))
print(f"{score_64 / score_32:.2f}")
assert 3 < score_64 / score_32 < 4.6

# %% [markdown]
# The score weighs each weight's noise with the *whole* loss, and so grows with everything else that is in it. The path
# asks only for the slope along its own weight.
#
# ## 7 Exercises
#
# Solutions: [the solved notebook](solutions/04_the_reparameterisation_trick.ipynb).
#
# **Warm-up (E3).** $\sigma$ of a vector $\rho$, right for every $\rho$ from $-800$ to $800$.
#
# <details><summary>Hint</summary>Step 2, and np.log1p.</details>

# %%
def softplus(rho):
    ### BEGIN SOLUTION
    return np.maximum(rho, 0) + np.log1p(np.exp(-np.abs(rho)))
    ### END SOLUTION

check.E3(softplus)

# %% [markdown]
# **Core (E4).** The gradients in $\mu$ and $\rho$ from that in $w$.
#
# <details><summary>Hint</summary>Two links of a chain: sigma moves w by eps, and rho moves sigma by s(rho).</details>

# %%
def reparameterize_backward(dw, rho, eps):
    ### BEGIN SOLUTION
    return dw, dw * eps / (1 + np.exp(-rho))
    ### END SOLUTION

check.E4(reparameterize_backward)

# %% [markdown]
# **Core (score).** From $f$ at $S$ draws, $\sigma$ and the noise, the score estimates of the gradient in $\mu$ and in
# $\sigma$, averaged over the draws.
#
# <details><summary>Hint</summary>Step 8. Average f times the derivative of log q.</details>

# %%
def score_gradient(f, sigma, eps):
    ### BEGIN SOLUTION
    return np.mean(f * eps / sigma), np.mean(f * (eps**2 - 1) / sigma)
    ### END SOLUTION

check.score(score_gradient)

# %% [markdown]
# **Stretch (slope).** $r(\rho) = \mathrm{d}\log\sigma/\mathrm{d}\rho$, right for every $\rho$ from $-800$ to $800$.
#
# <details><summary>Hint</summary>Step 3. With e = exp(-|rho|): for negative rho it is e/((1 + e) log1p(e)), where
# log1p(e)/e must be 1 at e = 0; for the others 1/((1 + e) sigma).</details>

# %%
def log_softplus_backward(rho):
    ### BEGIN SOLUTION
    e = np.exp(-np.abs(rho))
    ratio = np.log1p(e) / np.where(e > 0, e, 1) + (e == 0)
    return 1 / ((1 + e) * np.where(rho < 0, ratio, np.maximum(rho, 0) + np.log1p(e)))
    ### END SOLUTION

check.slope(log_softplus_backward)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of the [museum](MUSEUM.md) of bugs that were found in published code.
#
# **Exhibit 24, naive softplus.** $\log(1 + e^\rho)$ as it stands. Training with it works until one $\rho$ wanders below
# $-37$: then $\sigma$ is exactly zero and $\log\sigma$ is $-\infty$, the loss with it.

# %%
with np.errstate(divide="ignore"):
    log_sigma = [np.log(np.log(1 + np.exp(rho))) for rho in (-36.0, -38.0)]
print(f"log sigma at -36 and -38: {log_sigma[0]:.2f} and {log_sigma[1]}; "
      f"the kernel: {posterior.log_softplus(-38.0):.2f}")
assert np.isfinite(log_sigma[0]) and np.isneginf(log_sigma[1])
assert abs(posterior.log_softplus(-38.0) + 38) < 1e-12

# %% [markdown]
# **Exhibit 8, two sigmas.** Weights are drawn with softplus, and $\log q$ is evaluated with $\sigma = e^\rho$. At $\rho = -8$,
# where many start, nobody sees it. As $\sigma$ grows the loss is that of another $q$:

# %%
def log_q(w, mu, sigma):
    return -np.log(sigma) - ((w - mu) / sigma)**2 / 2 - np.log(2 * np.pi) / 2

wrong_by = {}
for rho in (-8.0, 0.0, 2.0):
    w = reference.reparameterize(0.3, rho, 1.5)
    wrong_by[rho] = abs(log_q(w, 0.3, np.exp(rho)) - log_q(w, 0.3, reference.softplus(rho)))
print({rho: f"{error:.1e}" for rho, error in wrong_by.items()})
assert wrong_by[-8.0] < 1e-3 and wrong_by[0.0] > 0.1 and wrong_by[2.0] > 0.1

# %% [markdown]
# **Exhibit 10, pruned but alive.** A weight is removed by setting $\mu = 0$ and $\rho = 0$. But $\rho = 0$ is no zero:
# $\sigma = \log 2 = 0.69$, more noise than most weights ever had.

# %%
rng = np.random.default_rng(4)
outputs = {rho: np.std([reference.reparameterize(0.0, rho, eps) * 3.0 for eps in rng.normal(size=2000)])
           for rho in (0.0, -800.0)}
print(f"deviation that a removed weight leaves in the output, for x = 3: {outputs[0.0]:.2f} with rho = 0, "
      f"{outputs[-800.0]:.2f} with rho = -800")
assert outputs[0.0] > 1.9 and outputs[-800.0] == 0

# %% [markdown]
# ## 9 Key points
#
# * $\sigma = \max(\rho, 0) + \mathrm{log1p}(e^{-|\rho|})$, with slope $s(\rho)$.
# * $w = \mu + \sigma\varepsilon$ makes a draw an ordinary function: $\mathrm{d}\mu = \mathrm{d}w$, $\mathrm{d}\rho =
#   \mathrm{d}w\,\varepsilon\,s(\rho)$.
# * The score needs no derivative of $f$, and pays with a variance that grows as $\sigma$ falls and as weights are
#   added.
#
# **Glossary.** *Pathwise estimate*: E4. *Score*: the gradient of $\log q$ in its parameters. *Unbiased*: right on
# average. *Softplus*: E3. *Logistic function*: $s$.
#
# **Eight questions.** 1. Why not learn $\sigma$ itself? 2. What is $\rho$ for $\sigma = 1$? 3. What is $s(0)$? 4. Where
# does $\log(1 + e^\rho)$ fail, and why twice? 5. Why may the derivative go inside the integral in
# Step 7 and not in Step 5? 6. Which estimate works for an $f$ with jumps? 7. How does the score's variance grow with
# $P$? 8. Why is $\rho = 0$ no zero?
#
# **Further reading.** Kingma and Welling (2014), *Auto-Encoding Variational Bayes*, section 2.4. Williams (1992), *Simple
# statistical gradient-following algorithms*. Mohamed, Rosca, Figurnov and Mnih (2020), *Monte Carlo Gradient
# Estimation in Machine Learning*. In this package: [`posterior.py`](../bbbnp/kernels/posterior.py).
