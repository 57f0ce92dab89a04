# %% [markdown]
# # 06 Bayes by Backprop
#
# ![Means and deviations of two weights wander at first and settle on thin lines, the exact answer, as training steps are counted on a logarithmic axis.](../pictures/lecture_06.png)
#
# **You will be able to** derive both gradients of Bayes by Backprop by hand; prove them by finite differences; tell
# from a trained network's $\sigma$ which of three famous mistakes was made.
#
# **You need** lecture 03 (the free energy), 04 (the reparameterisation trick) and 05 (backpropagation).
#
# **Minutes**: 80 to read, 60 for the exercises. **Equations**: E5, E12, E13, E17 of the [ledger](EQUATIONS.md);
# symbols are in the [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import Architecture, GaussianPrior, Key, Objective, free_energy_gradient, weight_noise
from bbbnp import plots_course as plots, reference
from bbbnp.course import check, loops, show
from bbbnp.exact import ConjugateRegression
from bbbnp.gradcheck import numerical_gradient, worst_entry
from bbbnp.kernels import elbo, optimizer, posterior

# %% [markdown]
# ## 1 A question
#
# A network trains by following the slope of its loss. Now every weight is no number but a bell curve, with a centre and
# a width. Data pull on the centre, that much is clear. But what pulls on the width? What makes it wider, what narrower,
# and who says when to stop? If two forces balance there, where exactly is the balance?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# One weight, one example: $f = w x$ with $x = 1$, $y = 1$, noise $\tau = 1$; the prior is $\mathcal{N}(0, 1)$; all the
# data are one minibatch, so $\lambda T = 1$. Take $\mu = 0.5$, and $\rho = \log(e - 1)$, so that $\sigma = \log(1 +
# e^\rho) = 1$.
# The noise drawn is $\varepsilon = -1$. Then
#
# * the weight is $w = \mu + \sigma\varepsilon = 0.5 - 1 = -0.5$;
# * the data pull with $-(y - w x)x/\tau^2 = -(1 + 0.5) = -1.5$, the prior with $w/1^2 = -0.5$; together $g = -2$;
# * the slope of softplus is $s(\rho) = 1/(1 + e^{-\rho}) = 1 - 1/e = 0.632$, since $e^{-\rho} = 1/(e - 1)$.
#
# The gradient in $\mu$ is $g = -2$. The gradient in $\rho$ is $(\varepsilon g - 1/\sigma)\,s(\rho) = (2 - 1) \cdot 0.632 = 0.632$.
# We have not derived that yet. But we can compute the free energy at two nearby values of $\rho$ and look.

# %%
def free_energy_by_hand(mu, rho, eps=-1.0, x=1.0, y=1.0):
    sigma = np.log(1 + np.exp(rho))
    w = mu + sigma * eps
    log_q = -np.log(sigma) - eps**2 / 2 - np.log(2 * np.pi) / 2
    log_prior = -w**2 / 2 - np.log(2 * np.pi) / 2
    log_lik = -(y - w * x)**2 / 2 - np.log(2 * np.pi) / 2
    return log_q - log_prior - log_lik

mu, rho, h = 0.5, np.log(np.e - 1), 1e-5
slope_mu = (free_energy_by_hand(mu + h, rho) - free_energy_by_hand(mu - h, rho)) / (2 * h)
slope_rho = (free_energy_by_hand(mu, rho + h) - free_energy_by_hand(mu, rho - h)) / (2 * h)
print(f"dmu = {slope_mu:.6f}, drho = {slope_rho:.6f}")
assert abs(slope_mu + 2) < 1e-8 and abs(slope_rho - (1 - 1 / np.e)) < 1e-8

# %% [markdown]
# Both are right. Gradient descent lowers $\rho$ here: this draw says that the bell is too wide.
#
# ## 3 Derivation
#
# The free energy of one minibatch and one draw of the noise (E2), with $w = \mu + \sigma\varepsilon$ (E4), is
#
# $$F = \lambda T\,[\log q(w \mid \mu, \rho) - \log P(w)] - \log P(\mathcal{D} \mid w).$$
#
# All is written for one weight; weights do not mix in $\log q$, and in the data's term only through $\partial/\partial
# w$,
# which backpropagation delivers (lecture 05).
#
# **Step 1. Three ways in.** $\mu$ moves $F$ through $w$, and directly, since $\mu$ stands in $\log q$. So does $\rho$.
# Write $F(w, \mu, \rho)$
# with three separate arguments; $\partial$ moves one and holds the other two, $\mathrm{d}$ moves all that depends.
#
# **Step 2. The chain rule in $\mu$.** $w = \mu + \sigma\varepsilon$ gives $\partial w/\partial\mu = 1$, so
#
# $$\mathrm{d}\mu = \frac{\partial F}{\partial w} + \frac{\partial F}{\partial \mu} \qquad \text{(E12; the paper's
# equation 3)}$$
#
# **Step 3. The chain rule in $\rho$.** $\partial w/\partial\rho = \varepsilon\,\mathrm{d}\sigma/\mathrm{d}\rho =
# \varepsilon\,s(\rho) = \varepsilon/(1 + e^{-\rho})$ (E3), so
#
# $$\mathrm{d}\rho = \frac{\partial F}{\partial w}\,\frac{\varepsilon}{1 + e^{-\rho}} + \frac{\partial F}{\partial \rho}
# \qquad \text{(E12; the paper's equation 4)}$$

# %% [markdown]
# **Step 4. $\log q$ in its three arguments (E5).** With all three separate,
# $\log q = -\log\sigma - (w - \mu)^2/(2\sigma^2) - \tfrac12\log 2\pi$. Differentiate, and put $w - \mu =
# \sigma\varepsilon$ afterwards:
#
# $$\frac{\partial \log q}{\partial w} = -\frac{w - \mu}{\sigma^2} = -\frac{\varepsilon}{\sigma}, \qquad
# \frac{\partial \log q}{\partial \mu} = +\frac{w - \mu}{\sigma^2} = +\frac{\varepsilon}{\sigma},$$
#
# $$\frac{\partial \log q}{\partial \rho} = \Big(-\frac1\sigma + \frac{(w - \mu)^2}{\sigma^3}\Big)\,s(\rho) =
# \frac{\varepsilon^2 - 1}{\sigma}\,s(\rho).$$
#
# **Step 5. All of $\partial F/\partial w$.** Collect what is not $\log q$ in one letter, $g$: the data's part, which
# backpropagation gives, and the prior's. Then
#
# $$g = -\frac{\partial \log P(\mathcal{D} \mid w)}{\partial w} - \lambda T\,\frac{\mathrm{d}\log P(w)}{\mathrm{d}w},
# \qquad
# \frac{\partial F}{\partial w} = g - \lambda T\,\frac{\varepsilon}{\sigma}.$$
#
# Steps 2 to 5 are the paper's gradients, and can be programmed as they stand.

# %% [markdown]
# **Step 6. In $\mu$ two terms cancel.**
#
# $$\mathrm{d}\mu = g - \lambda T\,\frac{\varepsilon}{\sigma} + \lambda T\,\frac{\varepsilon}{\sigma} = g.$$
#
# **Step 7. In $\rho$ two terms cancel.**
#
# $$\mathrm{d}\rho = \Big(g - \lambda T\frac{\varepsilon}{\sigma}\Big)\varepsilon\,s(\rho) + \lambda
# T\,\frac{\varepsilon^2 - 1}{\sigma}\,s(\rho)
# = \Big(\varepsilon g - \frac{\lambda T}{\sigma}\Big)\,s(\rho),$$
#
# since $-\varepsilon^2/\sigma + \varepsilon^2/\sigma = 0$. With $r(\rho) = s(\rho)/\sigma$ the same is (E13)
#
# $$\mathrm{d}\mu = g, \qquad \mathrm{d}\rho = r(\rho)\,(\sigma\varepsilon g - \lambda T).$$
#
# **Step 8. Many weights, many draws.** Every weight has its own $\mu, \rho, \varepsilon$ and entry of $g$. Over several
# draws the gradients
# are averaged, as $F$ is.
#
# **Step 9. The step (E17).** With learning rate $\eta_t$, SGD moves each parameter $x$, a $\mu$ or a $\rho$, by
# $x \leftarrow x - \eta_t\,\mathrm{d}x$. A rate $\eta_t = \eta_0/(1 + t/H)$ that falls, and an average over the last
# iterates, take the noise out.

# %% [markdown]
# > **The one idea.** Put $w = \mu + \sigma\varepsilon$ into $\log q$ first and differentiate after:
# > $\log q = -\log\sigma - \varepsilon^2/2 - \tfrac12\log 2\pi$ holds no $\mu$, and $\rho$ only in $\log\sigma$. So
# > $\log q$
# > adds nothing to $\mathrm{d}\mu$ and $-\lambda T\,r(\rho)$ to $\mathrm{d}\rho$: a constant push that makes $\sigma$
# > wider. The data's and the
# > prior's $\varepsilon g$ make it narrower. Where the two balance on average, $\sigma$ rests.
#
# ## 4 The same in code
#
# First the page of plain NumPy, a line for a formula:

# %%
show.source(reference.log_posterior_backward, reference.short_gradient, reference.paper_gradient)

# %% [markdown]
# And the kernels that train. They compute $r(\rho)$ as a function of its own: at $\rho = -800$ the quotient
# $s(\rho)/\sigma$ is $0/0$. `short_gradient` is given it, `slope`, by the draw, which has its parts; and for
# $\sigma\varepsilon$ it takes $w - \mu$, which is what the network saw.

# %%
show.source(posterior.log_posterior_backward, elbo.short_gradient, elbo.paper_gradient)

# %%
with np.errstate(all="ignore"):
    quotient = reference.logistic(np.float64(-800)) / reference.softplus(np.float64(-800))
print("the quotient at rho = -800:", quotient, " the kernel:", posterior.log_softplus_backward(-800.0))
assert np.isnan(quotient) and posterior.log_softplus_backward(-800.0) == 1.0

# %% [markdown]
# The step of Step 9, for whole vectors:

# %%
show.source(reference.update, optimizer.sgd_update)

# %% [markdown]
# ## 5 Proof
#
# **Finite differences.** A network of 3 inputs, 4 tanh units and 2 outputs has 26 weights and biases, so 52 parameters.
# We fix the noise,
# which makes $F$ an ordinary function, and compare.

# %%
architecture, rng = Architecture((3, 4, 2), "tanh"), np.random.default_rng(0)
P = architecture.size
mu, rho = 0.5 * rng.normal(size=P), rng.uniform(-2, 1, P)
X, y, key = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), Key(seed=1, step=2)
eps = weight_noise(key, 0, P).astype(float)[None]
common = dict(widths=(3, 4, 2), name="tanh", prior=[(1.0, 0.7)], likelihood="gaussian", kl_weight=0.5)
fixed = np.zeros(2), X, y, eps

numeric = numerical_gradient(lambda z: reference.free_energy(*np.split(z, 2), *fixed, **common),
                             np.concatenate([mu, rho]), 0.02)
by_hand = {form.__name__: np.concatenate(
    reference.free_energy_gradient(mu, rho, *fixed, **common, form=form)[:2])
    for form in (reference.short_gradient, reference.paper_gradient)}
errors = {name: worst_entry(g, numeric)[0] for name, g in by_hand.items()}
print({name: f"{error:.0e}" for name, error in errors.items()})
assert max(errors.values()) < 1e-7

# %% [markdown]
# **The code that trains** gives the same numbers, for the same key of the noise:

# %%
objective = Objective(GaussianPrior(0.7), "gaussian", 1.0, minibatch_weight=0.5)
trained_by = free_energy_gradient(architecture, mu, rho, X, y, objective=objective, key=key)
difference = np.abs(np.concatenate([trained_by.dmu, trained_by.drho]) - by_hand["short_gradient"]).max()
print(f"{difference:.0e}")
assert difference < 1e-12 * np.abs(by_hand["short_gradient"]).max()

# %% [markdown]
# **The exact answer.** Linear regression with a slope and a bias, known noise and a Gaussian prior is solved on paper
# (lecture 02). Its best
# diagonal Gaussian has $\mu = m$ and $\sigma_j = 1/\sqrt{\Lambda_{jj}}$ (lecture 03). Does training find them?

# %%
rng = np.random.default_rng(5)
x = rng.uniform(0, 2, 20)
y = 0.8 * x - 0.3 + 0.5 * rng.normal(size=20)
truth = ConjugateRegression(np.column_stack([x, np.ones(20)]), y, noise=0.5, prior_sigma=1.0)
exact_mu, exact_sigma = truth.mean_field
widths_of_posterior = np.sqrt(np.diag(np.linalg.inv(truth.precision)))
print("mu", exact_mu.round(3), " sigma", exact_sigma.round(3))
print("deviations of the exact posterior", widths_of_posterior.round(3))

# %%
def gradient(mu, rho, eps, kl_weight=1.0):
    """The free energy's gradient in mu and rho for one draw, as a single vector of four."""
    dmu, drho, _ = reference.free_energy_gradient(
        mu, rho, np.log([0.5]), x[:, None], y[:, None], eps[None], widths=(1, 1), name="tanh",
        prior=[(1.0, 1.0)], likelihood="gaussian", kl_weight=kl_weight)
    return np.concatenate([dmu, drho])

# %%
def train(gradient, steps, rate=4e-3, sigma_start=0.5):
    """SGD with a falling rate; means and deviations after each step, shape (steps, 4)."""
    noise = np.random.default_rng(1).normal(size=(steps, 2))
    theta = np.repeat([0.0, np.log(np.expm1(sigma_start))], 2)
    track = np.empty((steps, 4))
    for t in range(steps):
        now = reference.scheduled_rate(rate, "inverse_time", t, steps / 10)
        theta, _, _ = reference.update(theta, gradient(theta[:2], theta[2:], noise[t]), 0, 0, "sgd", now, t)
        track[t] = theta[:2].tolist() + reference.softplus(theta[2:]).tolist()
    return track

# %%
track = train(gradient, loops(30_000, fast=6_000))
found = track[len(track) // 2:].mean(axis=0)
off_mu, off_sigma = (found[:2] - exact_mu) / widths_of_posterior, found[2:] / exact_sigma - 1
print("mu off by", off_mu.round(3), "deviations; sigma off by", (100 * off_sigma).round(1), "%")
assert np.abs(off_mu).max() < 0.1 and np.abs(off_sigma).max() < 0.06

# %%
show.picture(plots.convergence(track, np.concatenate([exact_mu, exact_sigma]), ["slope", "bias"]),
             "Means and deviations of slope and bias against training steps: they wander and settle "
             "on thin lines, the means and deviations of the best diagonal Gaussian.", main=True)

# %% [markdown]
# Both means and both deviations reach the exact answer, and nobody told the code what it is. Note what it is *not*: the
# exact posterior is wider than $1/\sqrt{\Lambda_{jj}}$, because slope and bias are correlated and a diagonal Gaussian
# cannot be.

# %%
assert np.all(exact_sigma < widths_of_posterior)
frames = np.unique(np.geomspace(1, len(track), 18).astype(int)) - 1
panels = [(name, grid, plots.normal(grid, m, s), track[frames][:, [j, 2 + j]])
          for j, (name, m, s) in enumerate(zip(("slope", "bias"), exact_mu, exact_sigma))
          for grid in [np.linspace(m - 1.2, m + 1.2, 121)]]
film = plots.bells(panels, frames=[f"step {n + 1}" for n in frames], target="exact mean field")
show.animation(film, "Two bell curves, of the slope and of the bias, slide over and become narrower "
               "until each covers the shaded exact bell.")

# %% [markdown]
# ## 6 Play
#
# Predict first: what happens to $\sigma$ when it starts at 0.02, far below the answer? Does it find its way as fast as
# from above? Then
# change one thing.

# %%
sigma_start, rate, steps = 0.02, 4e-3, 3000

def play(sigma_start, rate, steps):
    """Train from another start, and draw the way."""
    track = train(gradient, int(steps), rate, sigma_start)
    figure = plots.convergence(track, np.concatenate([exact_mu, exact_sigma]), ["slope", "bias"])
    return show.picture(figure, f"The same curves from a starting sigma of {sigma_start} with rate {rate}.")

show.slider(play, sigma_start=(0.02, 1.0, 0.02), rate=(5e-4, 8e-3, 5e-4), steps=(500, 5000, 500))
play(sigma_start, rate, steps)

# %% [markdown]
# After 400 of 3,000 steps, how far is $\sigma$, from below and from above?

# %%
below, above = (train(gradient, 3000, 4e-3, start)[399, 2:] / exact_sigma for start in (0.02, 0.5))
print("sigma over the exact one, from below", below.round(2), "and from above", above.round(2))
assert below.max() < 0.75 and np.abs(above - 1).max() < 0.25

# %% [markdown]
# From below, the push is $-\lambda T\,r(\rho)$, at most $\lambda T$ in size however small $\sigma$ is. In the language
# of $\rho$
# the way from 0.02 is long: that is
# why networks that start at $\rho = -7$ look too sure when training ends early.
#
# ## 7 Exercises
#
# Write an equation again, and let the check tell you. Solutions: [the solved
# notebook](solutions/06_bayes_by_backprop.ipynb).
#
# **Warm-up (E5).** The partial derivatives of one weight's $\log q$ in $w$, $\mu$ and $\rho$. `softplus` and `logistic`
# are there.
#
# <details><summary>Hint</summary>Step 4. The last one is the derivative in sigma, times the slope of
# softplus.</details>

# %%
from bbbnp.reference import logistic, softplus

def log_posterior_backward(rho, eps):
    ### BEGIN SOLUTION
    sigma = softplus(rho)
    return -eps / sigma, eps / sigma, (eps**2 - 1) * logistic(rho) / sigma
    ### END SOLUTION

check.E5(log_posterior_backward)

# %% [markdown]
# **Core (E12).** The paper's equations 3 and 4, from $g$: every term, nothing cancelled.
#
# <details><summary>Hint</summary>First df/dw, as in Step 5; then Steps 2 and 3. Every derivative of log q carries
# kl_weight.</details>

# %%
def paper_gradient(g, rho, eps, kl_weight):
    ### BEGIN SOLUTION
    q_w, q_mu, q_rho = reference.log_posterior_backward(rho, eps)
    df_dw = g + kl_weight * q_w
    return df_dw + kl_weight * q_mu, df_dw * eps / (1 + np.exp(-rho)) + kl_weight * q_rho
    ### END SOLUTION

check.E12(paper_gradient)

# %% [markdown]
# **Core (E13).** The short form. It must give the same numbers with far fewer terms.
#
# <details><summary>Hint</summary>Which of the terms of E12 are equal and opposite? Step 7.</details>

# %%
def short_gradient(g, rho, eps, kl_weight):
    ### BEGIN SOLUTION
    return g, (eps * g - kl_weight / softplus(rho)) * logistic(rho)
    ### END SOLUTION

check.E13(short_gradient)

# %% [markdown]
# **Stretch (E17).** One step of Adam, $t = 0, 1, \dots$: $m \leftarrow \beta_1 m + (1 - \beta_1)\,\mathrm{d}x$, $v
# \leftarrow \beta_2 v + (1 - \beta_2)\,\mathrm{d}x^2$,
# $x \leftarrow x - \eta\,\hat m/(\sqrt{\hat v} + \epsilon)$, with $\hat m = m/(1 - \beta_1^{t+1})$, $\hat v = v/(1 -
# \beta_2^{t+1})$, $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\epsilon = 10^{-8}$.
#
# <details><summary>Hint</summary>Update m and v first. At t = 0 the corrections undo the factors 0.1 and 0.001
# exactly.</details>

# %%
def adam(x, dx, m, v, rate, t):
    ### BEGIN SOLUTION
    m, v = 0.9 * m + 0.1 * dx, 0.999 * v + 0.001 * dx**2
    m_hat, v_hat = m / (1 - 0.9**(t + 1)), v / (1 - 0.999**(t + 1))
    return x - rate * m_hat / (np.sqrt(v_hat) + 1e-8), m, v
    ### END SOLUTION

check.E17(adam)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of the [museum](MUSEUM.md) of bugs that were found in published code. In each the means are right, so
# accuracy hides
# it. Only $\sigma$ tells.
#
# **Exhibit 6, other noise in backward.** The backward pass draws its own $\varepsilon$. In $\mathrm{d}\rho$ the noise
# then has nothing to do with $g$: on average
# the product is zero, no force makes $\sigma$ narrower, and it grows.

# %%
def other_noise(mu, rho, eps):
    right = gradient(mu, rho, eps)
    other = np.random.default_rng(int(1e6 * abs(eps[0]))).normal(size=2)
    return np.concatenate([right[:2], (other * right[:2] - 1 / softplus(rho)) * logistic(rho)])

def verdict(gradient):
    """Of training's second half: means off by how many deviations; sigma over the exact one."""
    track = train(gradient, 6_000)[3_000:].mean(axis=0)
    return np.abs((track[:2] - exact_mu) / widths_of_posterior).max(), track[2:] / exact_sigma

off, ratio = verdict(other_noise)
print(f"means off by {off:.2f} deviations, sigma is {ratio.round(2)} times the exact one")
assert off < 0.5 and ratio.min() > 1.5

# %% [markdown]
# **Exhibit 13, the KL is zero.** $\log q$ is stored where $\log P(w)$ belongs, and both vanish. Nothing pushes $\sigma$
# up: it falls as long as training lasts.

# %%
off, ratio = verdict(lambda mu, rho, eps: gradient(mu, rho, eps, kl_weight=0.0))
print(f"means off by {off:.2f} deviations, sigma is {ratio.round(2)} times the exact one")
assert off < 0.5 and ratio.max() < 0.5

# %% [markdown]
# **Exhibit 14, counted twice.** The sum over the layers adds one $\log q$ twice and another never. Here: the slope's
# twice, the bias's never.

# %%
def counted_twice(mu, rho, eps):
    right = gradient(mu, rho, eps)
    push = -logistic(rho) / softplus(rho)
    return right + np.concatenate([np.zeros(2), push * [1, -1]])

off, ratio = verdict(counted_twice)
print(f"means off by {off:.2f} deviations, sigma is {ratio.round(2)} times the exact one")
assert off < 0.5 and ratio[0] > 1.2 and ratio[1] < 0.5

# %% [markdown]
# ## 9 Key points
#
# * $\mathrm{d}\mu = g$ and $\mathrm{d}\rho = r(\rho)(\sigma\varepsilon g - \lambda T)$: ordinary backpropagation, and
#   two more lines.
# * The noise in $\mathrm{d}\rho$ must be that of the draw.
# * $\log q$ is what keeps $\sigma$ from zero. Its push is constant in $\log\sigma$.
# * A mean that is right proves nothing about $\sigma$. Finite differences and an exact answer do.
#
# **Glossary.** *Draw*: one $w$ from $q$. *Free energy* $F$: complexity less log-likelihood. *Short form*: E13. *Mean
# field*: one independent
# Gaussian for each weight. *Path derivative*: E12 without the two direct derivatives (lecture 12).
#
# **Eight questions.** 1. Why has $\mathrm{d}\mu$ no $\sigma$? 2. Which force makes $\sigma$ wider? 3. What is
# $\mathrm{d}\rho$ when $g = 0$? 4. Why is $(w - \mu)/\sigma$ a worse way to get $\varepsilon$?
# 5. What does $\lambda T = 0$ do to $\sigma$? 6. Where do E12 and E13 differ in rounding? 7. Why average the iterates? 8.
#    Which $\sigma$ does training find when weights are correlated?
#
# **Further reading.** Blundell, Cornebise, Kavukcuoglu and Wierstra (2015), *Weight Uncertainty in Neural Networks*,
# section 3.2. Graves (2011), *Practical Variational
# Inference for Neural Networks*. Kingma and Ba (2015), *Adam*. In this package:
# [`reference.py`](../bbbnp/reference.py), [`elbo.py`](../bbbnp/kernels/elbo.py).
