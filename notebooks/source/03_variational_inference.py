# %% [markdown]
# # 03 Variational inference in one dimension
#
# ![Left: a bell curve in four stages slides from the left over a shaded posterior and narrows until it covers it. Right: the free energy falls over the steps to a thin line, minus the log evidence.](../pictures/lecture_03.png)
#
# **You will be able to** derive the free energy and its closed form; tell the two KL divergences apart by the answers
# that they give; predict how much narrower than the truth a posterior of independent weights is.
#
# **You need** lecture 01 (Bayes' rule) and 02 (the exact answer of linear regression).
#
# **Minutes**: 60 to read, 45 for the exercises. **Equations**: E2, E14 of the [ledger](EQUATIONS.md); symbols are in
# the [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import plots_course as plots, plots_course_vi as pictures, reference
from bbbnp.course import check, loops, show
from bbbnp.exact import ConjugateRegression, grid_posterior
from bbbnp.gradcheck import numerical_gradient, worst_entry
from bbbnp.kernels import divergence, elbo

# %% [markdown]
# ## 1 A question
#
# Bayes' rule needs an integral that nobody can do for a network. Suppose that you may answer with a bell curve only:
# you choose its centre and its width. Which bell stands best for a belief that you cannot even normalise? How do you
# measure how far it is from something unknown? And when the belief has two humps, should the bell sit on one, or
# stretch over both?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# One weight, one example: $f = w x$ with $x = 1$, $y = 1$, noise $\tau = 1$; the prior is $\mathcal{N}(0, 1)$. This
# case
# can be solved (lecture 02):
#
# * the posterior's precision is $1 + 1 = 2$ and its mean $1/2$: it is $\mathcal{N}(\tfrac12, \tfrac12)$;
# * $y$ is a weight of variance 1 plus noise of variance 1, so $P(\mathcal{D}) = \mathcal{N}(1; 0, 2)$ and
#   $-\log P(\mathcal{D}) = \tfrac14 + \tfrac12\log 4\pi = 1.5155$.
#
# Now pretend not to know that, and try $q = \mathcal{N}(0, 1)$, the prior itself. It pays nothing for its difference
# from the prior. The
# squared error is on average $\mathbb{E}_q(1 - w)^2 = 1 + 1 = 2$, so $-\mathbb{E}_q\log P(\mathcal{D} \mid w) = 1 +
# \tfrac12\log 2\pi = 1.9189$. Call this price $F$. It is $1.9189 - 1.5155 = 0.4034$ above $-\log P(\mathcal{D})$. Where
# do the 0.4034 come from? Let us measure how far $q$ is from the posterior, by the average of $\log q - \log
# P(w \mid \mathcal{D})$ under $q$:

# %%
w = np.linspace(-10, 10, 4001)
q, posterior = plots.normal(w, 0, 1), plots.normal(w, 0.5, np.sqrt(0.5))
kl = np.sum(q * (np.log(q) - np.log(posterior))) * (w[1] - w[0])
free_energy = 1 + np.log(2 * np.pi) / 2
minus_log_evidence = 1 / 4 + np.log(4 * np.pi) / 2
print(f"F + log P(D) = {free_energy - minus_log_evidence:.4f}, KL = {kl:.4f}")
assert abs(free_energy - minus_log_evidence - kl) < 1e-9

# %% [markdown]
# They are the same number, though $F$ was computed without the posterior. That is no accident.
#
# ## 3 Derivation
#
# **Step 1. How far?** For densities $q$ and $p$ let $\mathrm{KL}(q\,\|\,p) = \mathbb{E}_q[\log q(w) - \log p(w)] =
# \int q \log(q/p)\,\mathrm{d}w$. It is never negative: $\log t \le t - 1$ for all $t > 0$, with equality at $t = 1$
# only, so
#
# $$-\mathrm{KL}(q\,\|\,p) = \int q \log\frac pq\,\mathrm{d}w \le \int q\,\Big(\frac pq - 1\Big)\,\mathrm{d}w = 1 - 1 =
# 0,$$
#
# and it is zero only where $p = q$. It is not symmetric: swap $q$ and $p$ and the number is another.
#
# **Step 2. Bayes' rule in logarithms.** $\log P(w \mid \mathcal{D}) = \log P(\mathcal{D} \mid w) + \log P(w) - \log
# P(\mathcal{D})$. Put this in for $\log p$:
#
# $$\mathrm{KL}(q\,\|\,P(w \mid \mathcal{D})) = \underbrace{\mathbb{E}_q[\log q(w) - \log P(w) - \log P(\mathcal{D} \mid
# w)]}_{F} + \log P(\mathcal{D}). \qquad \text{(E2)}$$
#
# $\log P(\mathcal{D})$ left the average because it has no $w$ in it. All that is left in $F$ can be computed.
#
# **Step 3. Read it twice.** As a bound: $F = -\log P(\mathcal{D}) + \mathrm{KL}$, never below $-\log
# P(\mathcal{D})$, and the *gap* is the KL. As a price:
#
# $$F = \underbrace{\mathrm{KL}(q\,\|\,P(w))}_{\text{complexity}} \;-\; \underbrace{\mathbb{E}_q\log P(\mathcal{D} \mid
# w)}_{\text{fit}}.$$
#
# The ledger writes E2 for one draw of $w$ and with a weight $\lambda T$ on the complexity; here the weight is 1.

# %% [markdown]
# **Step 4. Two averages.** Let $q = \mathcal{N}(\mu, \sigma^2)$. Then $\mathbb{E}_q(w - \mu)^2 = \sigma^2$ by
# definition, and $w^2 = (w - \mu)^2 + 2\mu(w - \mu) + \mu^2$ gives $\mathbb{E}_q w^2 = \sigma^2 + \mu^2$.
#
# **Step 5. The complexity (E14).** Take the prior $P(w) = \mathcal{N}(0, \sigma_p^2)$. From the normal density,
# $\log q = -\log\sigma - (w - \mu)^2/(2\sigma^2) - \tfrac12\log 2\pi$, and the like for $P$,
#
# $$\mathbb{E}_q\log q = -\log\sigma - \tfrac12 - \tfrac12\log 2\pi, \qquad \mathbb{E}_q\log P(w) = -\log\sigma_p -
# \frac{\sigma^2 + \mu^2}{2\sigma_p^2} - \tfrac12\log 2\pi.$$
#
# Subtract. For many independent weights $\log q$ and $\log P$ are sums, and so is
#
# $$\mathrm{KL}(q\,\|\,P) = \sum_j \log\frac{\sigma_p}{\sigma_j} + \frac{\sigma_j^2 + \mu_j^2}{2\sigma_p^2} - \frac12.
# \qquad \text{(E14)}$$
#
# **Step 6. Its gradient.** $\partial/\partial\mu = \mu/\sigma_p^2$ and $\partial/\partial\sigma = \sigma/\sigma_p^2 -
# 1/\sigma$. A network keeps $\sigma$ positive by $\sigma = \log(1 + e^\rho)$, whose slope is $s(\rho) = e^\rho/(1 +
# e^\rho) = 1/(1 + e^{-\rho})$. By the chain rule
#
# $$\mathrm{d}\mu = \frac{\mu}{\sigma_p^2}, \qquad \mathrm{d}\rho = \Big(\frac{\sigma}{\sigma_p^2} -
# \frac1\sigma\Big)\,s(\rho). \qquad \text{(E14)}$$
#
# It pulls $\mu$ to 0 and $\sigma$ to $\sigma_p$, and nowhere else is it zero.

# %% [markdown]
# **Step 7. The fit of a line.** Let $y_n = \sum_j x_{nj} w_j + {}$noise of deviation $\tau$. Split the error into a
# fixed and a random part,
# $y_n - \sum_j x_{nj} w_j = (y_n - \sum_j x_{nj}\mu_j) - \sum_j x_{nj}(w_j - \mu_j)$. Under $q$ the random part has
# mean zero, and its terms are independent with variances $x_{nj}^2\sigma_j^2$. So the cross term drops out of
#
# $$\mathbb{E}_q\Big(y_n - \sum_j x_{nj} w_j\Big)^2 = \Big(y_n - \sum_j x_{nj}\mu_j\Big)^2 + \sum_j
# x_{nj}^2\,\sigma_j^2.$$
#
# **Step 8. The best means.** With the exact posterior's $\Lambda = X^\top X/\tau^2 + I/\sigma_p^2$ and $\Lambda m =
# X^\top y/\tau^2$ (lecture 02),
#
# $$\frac{\partial F}{\partial\mu} = \frac{\mu}{\sigma_p^2} - \frac{X^\top(y - X\mu)}{\tau^2} = \Lambda\mu - \Lambda m =
# 0 \quad\Longrightarrow\quad \mu = m.$$
#
# **Step 9. The best deviations.** Collect what has $\sigma_j$ in it:
# $-\log\sigma_j + \tfrac12\sigma_j^2\,(1/\sigma_p^2 + \sum_n x_{nj}^2/\tau^2)$. The bracket is $\Lambda_{jj}$. So
#
# $$\frac{\partial F}{\partial\sigma_j} = -\frac1{\sigma_j} + \sigma_j\Lambda_{jj} = 0 \quad\Longrightarrow\quad
# \sigma_j^2 = \frac{1}{\Lambda_{jj}}.$$
#
# It is a minimum: the second derivative, $1/\sigma_j^2 + \Lambda_{jj}$, is positive, and so is $\Lambda$.

# %% [markdown]
# **Step 10. What is lost.** Let $q^*$ be this best bell, and $D$ the number of weights. $\mathbb{E}_{q^*}\log q^* =
# -\sum_j\log\sigma_j - \tfrac D2 -
# \tfrac D2\log 2\pi$ with $-\log\sigma_j = \tfrac12\log\Lambda_{jj}$. The posterior has $\log P(w \mid \mathcal{D}) =
# \tfrac12\log\det\Lambda - \tfrac D2\log 2\pi - \tfrac12(w - m)^\top\Lambda(w - m)$, and the average of its last term
# is $-\tfrac12\sum_j\Lambda_{jj}\sigma_j^2 = -\tfrac D2$. Subtract:
#
# $$\text{gap} = \mathrm{KL}(q^*\,\|\,P(w \mid \mathcal{D})) = \tfrac12\Big(\sum_j\log\Lambda_{jj} -
# \log\det\Lambda\Big).$$
#
# **Step 11. Two weights.** The inverse of $\Lambda$ has the posterior's variance of $w_1$ on its diagonal, $V_{11} =
# \Lambda_{22}/(\Lambda_{11}\Lambda_{22} - \Lambda_{12}^2)$, and the correlation is $r_{12} =
# -\Lambda_{12}/\sqrt{\Lambda_{11}\Lambda_{22}}$. So
#
# $$\sigma_1^2 = \frac1{\Lambda_{11}} = V_{11}\,(1 - r_{12}^2), \qquad \text{gap} = -\tfrac12\log(1 - r_{12}^2).$$
#
# Independent weights are exact without correlation, and too sure with it.
#
# **Step 12. The other KL.** $\mathrm{KL}(p\,\|\,q)$ averages under $p$. What has $q$ in it is $-\mathbb{E}_p\log q =
# \log\sigma + \mathbb{E}_p(w - \mu)^2/(2\sigma^2) + {}$constant. Let $p$ have mean $M$ and variance $V$; then
# $\mathbb{E}_p(w - \mu)^2 = V + (M - \mu)^2$. The derivative in $\mu$ is zero at $\mu = M$; that in $\sigma$ is then
# $1/\sigma - V/\sigma^3$, zero at $\sigma^2 = V$. This KL copies mean and variance. But it needs averages under the
# posterior, which we cannot draw from; the first KL needs averages under $q$, which we can.

# %% [markdown]
# > **The one idea.** $\log P(\mathcal{D})$ does not depend on $q$. So $F$, which we can compute, and the KL to the
# > posterior, which we cannot, differ by a constant. Whoever lowers one by a nat lowers the other by a nat.
#
# ## 4 The same in code
#
# First the page of plain NumPy:

# %%
show.source(reference.kl_to_gaussian, reference.kl_to_gaussian_backward, reference.free_energy)

# %% [markdown]
# The kernels that train take one weight at a time, and compute $\log\sigma$ and its slope $r(\rho) = s(\rho)/\sigma$ as
# functions of their own:

# %%
show.source(divergence.gaussian_kl, divergence.gaussian_kl_backward, elbo.complexity)

# %%
with np.errstate(all="ignore"):
    by_page = [reference.kl_to_gaussian(0.5, np.float64(rho), 1.0) for rho in (-800, 0, 800)]
by_kernel = [divergence.gaussian_kl(0.5, float(rho), 1.0) for rho in (-800, 0, 800)]
print("page  ", [f"{kl:.4f}" for kl in by_page], "\nkernel", [f"{kl:.4f}" for kl in by_kernel])
assert np.isclose(by_page[1], by_kernel[1], rtol=1e-12) and np.isfinite(by_kernel).all()

# %% [markdown]
# And the closed form of $F$ for linear regression, Steps 5 and 7 together:

# %%
show.source(ConjugateRegression.free_energy)

# %% [markdown]
# ## 5 Proof
#
# **Finite differences** of the KL of seven weights:

# %%
rng = np.random.default_rng(0)
mu, rho = rng.normal(size=7), rng.uniform(-2, 2, 7)
numeric = numerical_gradient(lambda z: reference.kl_to_gaussian(*np.split(z, 2), 0.7), np.append(mu, rho), 0.1)
error, _ = worst_entry(np.concatenate(reference.kl_to_gaussian_backward(mu, rho, 0.7)), numeric)[:2]
print(f"{error:.0e}")
assert error < 1e-9

# %% [markdown]
# **Draws.** The average of $F$ over draws of the weights (E2, slope and bias of a line) must be the closed form, up to
# its standard error:

# %%
x = rng.uniform(0, 2, 20)
y = 0.8 * x - 0.3 + 0.5 * rng.normal(size=20)
line = ConjugateRegression(np.column_stack([x, np.ones(20)]), y, noise=0.5, prior_sigma=1.0)
mu, sigma, S = np.array([0.3, 0.1]), np.array([0.4, 0.2]), loops(10_000, fast=2_000)
rho, log_noise, noise = np.log(np.expm1(sigma)), np.log([0.5]), rng.normal(size=(S, 2))
draws = [reference.free_energy(mu, rho, log_noise, x[:, None], y[:, None], eps[None], (1, 1), "tanh",
                               [(1.0, 1.0)], "gaussian", 1.0) for eps in noise]
z = (np.mean(draws) - line.free_energy(mu, sigma)) / (np.std(draws) / np.sqrt(S))
print(f"draws {np.mean(draws):.3f}, closed form {line.free_energy(mu, sigma):.3f}, z = {z:.1f}")
assert abs(z) < 5

# %% [markdown]
# **One weight slides into place.** Five examples of $y = w x$, and plain gradient descent on $F$ by Steps 6, 8 and 9.

# %%
tau, X = 0.5, rng.uniform(0.2, 1.2, (5, 1))
y = 0.8 * X[:, 0] + tau * rng.normal(size=5)
exact = ConjugateRegression(X, y, noise=tau, prior_sigma=1.0)

def gradient(mu, rho, X=X, kl=reference.kl_to_gaussian_backward):
    """Of the free energy of y = X w, for any number of weights."""
    dmu, drho = kl(mu, rho, 1.0)
    sigma, s = reference.softplus(rho), reference.logistic(rho)
    return dmu - X.T @ (y - X @ mu) / tau**2, drho + sigma * np.sum(X**2, axis=0) / tau**2 * s

def slide(gradient, mu, sigma, steps, rate=0.01):
    """Gradient descent; mu and sigma before each step and at the end, shape (steps + 1, 2, D)."""
    theta, track = np.array([mu, np.log(np.expm1(sigma))]), []
    for _ in range(steps + 1):
        track.append([theta[0], reference.softplus(theta[1])])
        theta = theta - rate * np.array(gradient(*theta))
    return np.array(track)

# %%
track = slide(gradient, mu=[-1.0], sigma=[0.6], steps=1500, rate=0.005)
(m,), (best_sigma,) = exact.mean_field
print("found", track[-1].ravel().round(4), " exact", m.round(4), best_sigma.round(4))
values = np.array([exact.free_energy(*state) for state in track])
print(f"F = {values[-1]:.6f}, -log P(D) = {-exact.log_evidence:.6f}")
assert np.allclose(track[-1].ravel(), [m, best_sigma], atol=1e-4)
assert np.all(np.diff(values) < 1e-12) and abs(values[-1] + exact.log_evidence) < 1e-6

# %% [markdown]
# With one weight there is nothing to be correlated with: $q$ reaches the posterior, and $F$ reaches $-\log
# P(\mathcal{D})$. On the way the shaded distance is the KL, as Step 2 says; on a grid we can see that:

# %%
w = np.linspace(-5, 5, 5001)
log_joint = -np.sum((y[:, None] - X * w)**2, axis=0) / (2 * tau**2) - w**2 / 2
log_joint -= 5 / 2 * np.log(2 * np.pi * tau**2) + np.log(2 * np.pi) / 2
density, log_evidence = grid_posterior(log_joint, w[1] - w[0])
mu, sigma = track[40].ravel()
log_q = -(w - mu)**2 / (2 * sigma**2) - np.log(sigma) - np.log(2 * np.pi) / 2
kl = np.sum(np.exp(log_q) * (log_q - log_joint + log_evidence)) * (w[1] - w[0])
print(f"after 40 steps: F + log P(D) = {values[40] + log_evidence:.6f}, KL on the grid = {kl:.6f}")
assert abs(log_evidence - exact.log_evidence) < 1e-5 and abs(values[40] + log_evidence - kl) < 1e-4

# %%
stages, near = [0, 15, 40, 1500], np.abs(w) < 2.5
names = [f"step {n}" for n in stages]
figure = pictures.sliding(w[near], density[near], track[stages, :, 0], names, values[:121], -exact.log_evidence)
show.picture(figure,
             "Left: q at four steps slides over the shaded posterior, until it covers it. Right: F falls over "
             "120 steps towards minus the log evidence; the distance between them is the KL.", main=True)

# %%
frames = np.unique(np.geomspace(1, 1501, 18).astype(int)) - 1
film = plots.bells([("one weight", w[near], density[near], track[frames, :, 0])],
                   frames=[f"step {n}" for n in frames])
show.animation(film, "A bell curve slides to the right and covers the shaded exact posterior, first with its "
               "centre, then with its width.")

# %% [markdown]
# **Two weights: the mean field.** Slope and bias of the line above are correlated. $q^*$ has the right centre and is
# too
# narrow, by Step 11:

# %%
mu, sigma = line.mean_field
V = np.linalg.inv(line.precision)
r12 = V[0, 1] / np.sqrt(V[0, 0] * V[1, 1])
print(f"r = {r12:.3f}; sigma over the exact deviation:", (sigma / np.sqrt(np.diag(V))).round(3))
print(f"gap {line.gap:.4f}, from F {line.free_energy(mu, sigma) + line.log_evidence:.4f}")
assert np.allclose(sigma**2, np.diag(V) * (1 - r12**2)) and abs(line.gap + np.log(1 - r12**2) / 2) < 1e-12
assert abs(line.free_energy(mu, sigma) + line.log_evidence - line.gap) < 1e-10

# %%
gaussians = {"exact posterior": (mu, V), "$q^*$, the mean field": (mu, np.diag(sigma**2)),
             "exact deviations, no correlation": (mu, np.diag(np.diag(V)))}
show.picture(pictures.ellipses(gaussians, xlabel="slope", ylabel="bias"),
             "The exact posterior of slope and bias is a long tilted ellipse. The mean field is a small "
             "upright one that meets it on the axes through its centre; one with the exact deviations is as "
             "wide and as high as the tilted one.")

# %% [markdown]
# $q^*$ is as wide as the exact ellipse is along the axes through its centre: what is left of a weight's doubt when the
# other is known. The third ellipse is that of Step 12 for each weight. It has the right deviations, and much of its
# area
# lies where the posterior has nothing.
#
# **Two humps.** Let $y = w^2 x + {}$noise: the data cannot tell $w$ from $-w$, as those of a network cannot tell which
# of
# two hidden units is the first. $q$ is still one bell. With $w = \mu + (w - \mu)$ and the moments $0, \sigma^2, 0,
# 3\sigma^4$ of $w - \mu$,
# $\mathbb{E}_q w^4 = \mu^4 + 6\mu^2\sigma^2 + 3\sigma^4$, and $F$ has a closed form again.

# %%
rng = np.random.default_rng(3)
x = rng.uniform(0.5, 1.5, 6)
y_square = x + 0.5 * rng.normal(size=6)

def bent_free_energy(mu, sigma, N=6, tau=0.5):
    """F of y = w^2 x + noise with a standard normal prior, on the first N examples."""
    a, b = x[:N], y_square[:N]
    w2, w4 = mu**2 + sigma**2, mu**4 + 6 * mu**2 * sigma**2 + 3 * sigma**4
    squares = b @ b - 2 * (a @ b) * w2 + (a @ a) * w4
    kl = -np.log(sigma) + (sigma**2 + mu**2) / 2 - 0.5
    return kl + squares / (2 * tau**2) + N / 2 * np.log(2 * np.pi * tau**2)

# %%
def bent_gradient(N):
    """Steps 6 and 7 for the bent model, by hand."""
    a, b = x[:N], y_square[:N]

    def both(mu, rho):
        sigma, (dmu, drho) = reference.softplus(rho), reference.kl_to_gaussian_backward(mu, rho, 1.0)
        dmu = dmu + (-4 * (a @ b) * mu + (a @ a) * (4 * mu**3 + 12 * mu * sigma**2)) / (2 * 0.5**2)
        dsigma = (-4 * (a @ b) * sigma + (a @ a) * (12 * mu**2 * sigma + 12 * sigma**3)) / (2 * 0.5**2)
        return dmu, drho + dsigma * reference.logistic(rho)
    return both

at = np.array([0.7, -0.4])
numeric = numerical_gradient(lambda z: bent_free_energy(z[0], reference.softplus(z[1])), at, 0.1)
assert worst_entry(np.array(bent_gradient(6)(*at)), numeric)[0] < 1e-9

# %%
def humps(N):
    """Grid, exact posterior and log evidence of the bent model on the first N examples."""
    w = np.linspace(-3, 3, 1201)
    log_joint = -np.sum((y_square[:N, None] - x[:N, None] * w**2)**2, axis=0) / (2 * 0.5**2) - w**2 / 2
    log_joint -= N / 2 * np.log(2 * np.pi * 0.5**2) + np.log(2 * np.pi) / 2
    return w, *grid_posterior(log_joint, w[1] - w[0])

grid, two, log_evidence = humps(6)
right, left = (slide(bent_gradient(6), [mu], [0.5], 1500, rate=2e-3)[-1].ravel() for mu in (0.1, -0.1))
M, V = np.sum(grid * two) * (grid[1] - grid[0]), np.sum(grid**2 * two) * (grid[1] - grid[0])
gaps = [bent_free_energy(*found) + log_evidence for found in (right, left)]
print(f"KL(q || p) from the right {right.round(3)}, from the left {left.round(3)}; KL(p || q) [0 {V**0.5:.3f}]")
print("gaps", np.round(gaps, 3), " log 2 =", np.log(2).round(3))
assert abs(M) < 1e-9 and right[0] > 0.9 and left[0] < -0.9 and np.all(np.abs(np.array(gaps) - np.log(2)) < 0.03)

# %%
show.picture(plots.curves(grid, {"posterior": two,
                                 "KL$(q\\,\\|\\,p)$ from the right": plots.normal(grid, *right),
                                 "KL$(p\\,\\|\\,q)$": plots.normal(grid, 0, np.sqrt(V))},
                          xlabel="$w$", ylabel="density"),
             "A posterior with two equal humps. The bell of KL(q || p) lies on the right hump, twice as "
             "high; that of KL(p || q) is wide and is highest in the middle, where the posterior is zero.")

# %% [markdown]
# $\mathrm{KL}(q\,\|\,p)$ may not put mass where $p$ has none, since there $-\log p$ is huge: it takes one hump, and
# pays
# $\log 2$ for the one it leaves out. $\mathrm{KL}(p\,\|\,q)$ may not leave mass of $p$ uncovered: it stretches over
# both, and is highest where $p$ is zero. Bayes by Backprop minimises the first.
#
# ## 6 Play
#
# Predict first: $q$ started above with $\sigma = 0.5$ and took a hump. Does a wide start, which sees both humps, do
# better? Then change one thing. With how few examples does $q$ stay in the middle, whatever its start?

# %%
mu_start, sigma_start, examples = 0.1, 1.0, 6

def play(mu_start, sigma_start, examples):
    """Slide over the posterior of the bent model, and draw both."""
    w, p, _ = humps(int(examples))
    found = slide(bent_gradient(int(examples)), [mu_start], [sigma_start], 3000, rate=2e-3)[-1].ravel()
    figure = plots.curves(w, {"posterior": p, "$q$": plots.normal(w, *found)}, xlabel="$w$", ylabel="density")
    return show.picture(figure, f"Posterior of {examples} examples of the bent model, and q from mu = "
                        f"{mu_start} and sigma = {sigma_start}: it ends at {found[0]:.2f}, {found[1]:.2f}.")

show.slider(play, mu_start=(-1.5, 1.5, 0.1), sigma_start=(0.1, 1.0, 0.1), examples=(1, 6))
play(mu_start, sigma_start, examples)

# %%
wide = slide(bent_gradient(6), [0.1], [1.0], 3000, rate=2e-3)[-1].ravel()
few = [slide(bent_gradient(N), [0.1], [0.5], 3000, rate=2e-3)[-1, 0, 0] for N in (1, 2)]
print("wide start:", wide.round(3), " gap", (bent_free_energy(*wide) + log_evidence).round(3))
print("means with one and with two examples:", np.abs(few).round(3))
assert abs(wide[0]) < 1e-3 and bent_free_energy(*wide) + log_evidence > 5 and np.abs(few).max() < 1e-2

# %% [markdown]
# A wide start ends in the middle, where the posterior is nearly zero, with a gap of 6 nats in place of 0.7. It is no
# saddle but a second minimum of $F$: a small step to the side makes $F$ larger. Gradient descent finds the nearest
# minimum, not the best: one reason why networks start with a small $\sigma$. With one or two examples there is one
# hump only.
#
# ## 7 Exercises
#
# Write an equation again, and let the check tell you. Solutions: [the solved
# notebook](solutions/03_variational_inference.ipynb).
#
# **Warm-up (E14).** The gradient of the KL to a Gaussian prior in $\mu$ and $\rho$, for vectors of weights.
#
# <details><summary>Hint</summary>Step 6. Differentiate in sigma first; then the slope of softplus.</details>

# %%
from bbbnp.reference import logistic, softplus

def kl_to_gaussian_backward(mu, rho, prior_sigma):
    ### BEGIN SOLUTION
    sigma = softplus(rho)
    return mu / prior_sigma**2, (sigma / prior_sigma**2 - 1 / sigma) * logistic(rho)
    ### END SOLUTION

check.E14(kl_to_gaussian_backward)

# %% [markdown]
# **Core (E2).** The deviations of the best diagonal Gaussian for linear regression, from the inputs `X`, shape (N, D),
# the noise $\tau$ and the prior's deviation $\sigma_p$.
#
# <details><summary>Hint</summary>Step 9. You need the diagonal of Lambda only, and no inverse.</details>

# %%
def mean_field_sigma(X, noise, prior_sigma):
    ### BEGIN SOLUTION
    return 1 / np.sqrt(np.sum(X**2, axis=0) / noise**2 + 1 / prior_sigma**2)
    ### END SOLUTION

check.mean_field(mean_field_sigma)

# %% [markdown]
# **Core (E2).** The gap of that Gaussian in nats, from the posterior's precision matrix.
#
# <details><summary>Hint</summary>Step 10. np.linalg.slogdet gives the sign and the logarithm of a
# determinant.</details>

# %%
def mean_field_gap(precision):
    ### BEGIN SOLUTION
    return 0.5 * (np.sum(np.log(np.diag(precision))) - np.linalg.slogdet(precision)[1])
    ### END SOLUTION

check.gap(mean_field_gap)

# %% [markdown]
# **Stretch (E14, the other way round).** The $\mu$ and $\sigma$ of the normal density that minimises
# $\mathrm{KL}(p\,\|\,q)$,
# where $p$ is given by its density on an even grid `w`.
#
# <details><summary>Hint</summary>Step 12. An average under p is a sum of values times density times the distance of
# two grid points.</details>

# %%
def covering_bell(w, density):
    ### BEGIN SOLUTION
    share = density * (w[1] - w[0])
    mu = np.sum(share * w)
    return mu, np.sqrt(np.sum(share * (w - mu)**2))
    ### END SOLUTION

check.covering(covering_bell)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of the [museum](MUSEUM.md) of bugs that were found in published code. Each is planted in the complexity
# of a model of two weights: the one of section 5, and an *idle* one, whose input is always zero, as a pixel in the
# corner of a digit is. Nothing is known of an idle weight, so it must keep its prior, $\mu = 0$ and $\sigma = 1$.

# %%
X_two = np.column_stack([X[:, 0], np.zeros(5)])
truth = ConjugateRegression(X_two, y, noise=tau, prior_sigma=1.0)

def verdict(kl):
    """Means, less the exact ones, and sigma over the exact one, after descent with the KL's gradient `kl`."""
    track = slide(lambda mu, rho: gradient(mu, rho, X_two, kl), [0.0, 0.0], [0.5, 0.5], 8000)
    off, ratio = track[-1][0] - truth.mean_field[0], track[-1][1] / truth.mean_field[1]
    print(f"means off by {off.round(3)}, sigma is {ratio.round(2)} times the exact one")
    return off, ratio

off, ratio = verdict(reference.kl_to_gaussian_backward)
assert np.abs(off).max() < 1e-6 and np.abs(ratio - 1).max() < 1e-3

# %% [markdown]
# **Exhibit 1, reversed KL.** The two arguments of a library's divergence were swapped: the complexity is
# $\mathrm{KL}(P\,\|\,q) = \log(\sigma/\sigma_p) + (\sigma_p^2 + \mu^2)/(2\sigma^2) - \tfrac12$. The idle weight is
# right,
# so a test at the prior passes. The other is far too wide.

# %%
def reversed_kl(mu, rho, prior_sigma):
    sigma = softplus(rho)
    return mu / sigma**2, (1 / sigma - (prior_sigma**2 + mu**2) / sigma**3) * logistic(rho)

off, ratio = verdict(reversed_kl)
assert ratio[0] > 1.3 and abs(ratio[1] - 1) < 1e-3

# %% [markdown]
# **Exhibit 21, almost a closed form.** The term $\sigma^2/(2\sigma_p^2)$ was lost on the way from paper to code. Where
# data hold $\sigma$ nobody sees it. The idle weight's $\sigma$ grows as long as training lasts.

# %%
off, ratio = verdict(lambda mu, rho, prior_sigma: (mu / prior_sigma**2, -logistic(rho) / softplus(rho)))
assert abs(ratio[0] - 1) < 0.2 and ratio[1] > 5

# %% [markdown]
# **Exhibit 3, averaged KL.** The KL is averaged over the weights where it must be summed; here as in a network of 20
# weights. Compared with the fit it is 20 times too small, and the weight is about $\sqrt{20}$ times too sure.

# %%
def averaged(mu, rho, prior_sigma):
    return tuple(d / 20 for d in reference.kl_to_gaussian_backward(mu, rho, prior_sigma))

off, ratio = verdict(averaged)
assert 0.2 < ratio[0] < 0.35

# %% [markdown]
# ## 9 Key points
#
# * $F = \mathrm{KL}(q\,\|\,\text{posterior}) - \log P(\mathcal{D})$: lower one and you lower the other.
# * $F = {}$complexity less fit; to a Gaussian prior the complexity has the closed form E14.
# * The best independent Gaussians have $\mu = m$ and $\sigma_j^2 = 1/\Lambda_{jj}$: right centre, too sure wherever
#   weights are correlated.
# * $\mathrm{KL}(q\,\|\,p)$ sits on one hump; $\mathrm{KL}(p\,\|\,q)$ covers all.
#
# **Glossary.** *Evidence*: $P(\mathcal{D})$. *Free energy* $F$: complexity less log-likelihood, the negative ELBO.
# *Gap*: the KL that is left at the best $q$. *Mean field*: one independent Gaussian for each weight. *Nat*: the unit of
# natural logarithms. *Variational*: by choosing the best of a family.
#
# **Eight questions.** 1. Why may $\log P(\mathcal{D})$ leave the average? 2. When is $F = -\log P(\mathcal{D})$? 3.
# What
# does the complexity say about a weight without data? 4. Why does $m$ not change when weights are taken as
# independent? 5. Why is no inverse needed for the best $\sigma_j$? 6. What is the gap when inputs are orthogonal? 7.
# Where does the
# $\log 2$ of the two humps come from? 8. Which of the two KLs can be estimated by draws of $q$?
#
# **Further reading.** Hinton and van Camp (1993), *Keeping neural networks simple by minimizing the description length
# of the weights*. Bishop (2006), *Pattern Recognition and Machine Learning*, section 10.1. Blei, Kucukelbir and
# McAuliffe (2017),
# *Variational Inference: A Review for Statisticians*. In this package: [`exact.py`](../bbbnp/exact.py),
# [`divergence.py`](../bbbnp/kernels/divergence.py).
