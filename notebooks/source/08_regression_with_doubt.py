# %% [markdown]
# # 08 Regression with doubt
#
# ![Above left: Bayes by Backprop fits a noisy curve between 0 and 0.5, and its band widens where it has seen nothing. Above right: the band of an ordinary network stays as narrow outside the data as inside. Below: doubt about the weights is small where there are data and grows away from them, the noise of the data is the same everywhere.](../pictures/lecture_08.png)
#
# **You will be able to** derive what a Gaussian target tells the network and its noise; split the variance of a
# prediction into noise of the data and doubt about the weights; check by counting whether an interval keeps its word.
#
# **You need** lecture 02 (the exact answer) and 06 (Bayes by Backprop, which trains what we predict with here).
#
# **Minutes**: 50 to read, 45 for the exercises. **Equations**: E8, E18, and of E21 the coverage, all in the
# [ledger](EQUATIONS.md); symbols are in the [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import Architecture, BayesRegressor, GaussianPrior, Key, Objective
from bbbnp import free_energy_gradient, plots, plots_course, reference, weight_noise
from bbbnp.course import check, loops, show
from bbbnp.exact import ConjugateRegression
from bbbnp.experiments.regression import curve, make_data
from bbbnp.gradcheck import numerical_gradient, worst_entry
from bbbnp.kernels import likelihood, predictive
from bbbnp.metrics import coverage
from bbbnp.prediction import RegressionDistribution

# %% [markdown]
# ## 1 A question
#
# A network says that a parcel will take three days, give or take one. Is that one day the mood of the road, which no
# record of past parcels will ever remove? Or is it that the network has seen few parcels to this village, so that a
# hundred more would make it a quarter? The two call for different actions. And who says that the one day is true?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# **The noise.** One target $y = 2$, the network says $f = 1$, and believes in noise of deviation $\tau = 0.5$. The
# target is $(y - f)/\tau = 2$ deviations away. The loss $\log\tau + (y - f)^2/2\tau^2$ has the slope
# $-(y - f)/\tau^2 = -4$ in $f$: raise $f$. Its slope in $\log\tau$ is $1 - 2^2 = -3$: raise $\tau$ too, since a target
# two deviations away is a sign that $\tau$ is too small.
#
# **The doubt.** Two draws of the weights predict, at one input:
#
# | draw | $f$ | $\tau^2$ | mean of $y^2$, which is $f^2 + \tau^2$ |
# |---|---|---|---|
# | first | 1 | 1 | 2 |
# | second | 3 | 4 | 13 |
#
# The mean prediction is $(1 + 3)/2 = 2$. The variance of $y$ is its mean square less the square of its mean:
# $(2 + 13)/2 - 2^2 = 3.5$. And that is the sum of two parts: the average noise, $(1 + 4)/2 = 2.5$, and the variance of
# the two means, $((1 - 2)^2 + (3 - 2)^2)/2 = 1$.

# %%
def loss(f, log_noise, y=2.0):
    return log_noise + (y - f)**2 / (2 * np.exp(2 * log_noise))

h, log_half = 1e-5, np.log(0.5)
slope_f = (loss(1 + h, log_half) - loss(1 - h, log_half)) / (2 * h)
slope_noise = (loss(1, log_half + h) - loss(1, log_half - h)) / (2 * h)
print(f"df = {slope_f:.6f}, dlog_noise = {slope_noise:.6f}")
assert abs(slope_f + 4) < 1e-6 and abs(slope_noise + 3) < 1e-6

f, variance = np.array([1.0, 3.0]), np.array([1.0, 4.0])
whole = np.mean(f**2 + variance) - np.mean(f)**2
print(f"whole variance {whole}, its parts {variance.mean()} and {f.var()}")
assert whole == variance.mean() + f.var() == 3.5

# %% [markdown]
# ## 3 Derivation
#
# **First, what a target says.**
#
# **Step 1. The model.** Given the weights, the target is the network's output with Gaussian noise of deviation $\tau$:
# $y \sim \mathcal{N}(f, \tau^2)$, with $f = f(x; w)$. Its density is
# $P(y \mid x, w) = e^{-(y - f)^2/2\tau^2}/(\tau\sqrt{2\pi})$.
#
# **Step 2. The loss of one target (E8).** Minus the logarithm of that density is
#
# $$-\log P = \log\tau + \frac{(y - f)^2}{2\tau^2} + \tfrac12\log 2\pi.$$
#
# The squared error, yes, but with a price on noise: without $\log\tau$, infinite noise would explain everything.
#
# **Step 3. In $f$.** Only the square depends on it: $\mathrm{d}f = -(y - f)/\tau^2$. The unit of a pull is the noise
# squared: halve $\tau$, and every target pulls four times as hard.
#
# **Step 4. In $\log\tau$.** We take the logarithm as the parameter, so that $\tau$ stays positive.
# $1/\tau^2 = e^{-2\log\tau}$ has the derivative $-2/\tau^2$ in $\log\tau$, and $\log\tau$ has 1, so
#
# $$\mathrm{d}f = -\frac{y - f}{\tau^2}, \qquad \mathrm{d}\log\tau = 1 - \frac{(y - f)^2}{\tau^2} \qquad \text{(E8)}$$

# %% [markdown]
# **Step 5. Three models of the noise.** All use Step 4; they differ in whose $\tau$ it is.
#
# * *Fixed*: $\tau$ is known, from the data sheet of the instrument, say. Only $\mathrm{d}f$ is used.
# * *Learned*: one $\tau$ for all examples. It is a number and not a distribution, and moves by the sum
#   $\mathrm{d}\log\tau = \sum_n \big(1 - (y_n - f_n)^2/\tau^2\big)$.
# * *Input-dependent*: the network has a second output, $\log\tau(x)$. Each example sends its own $\mathrm{d}f$ and
#   $\mathrm{d}\log\tau$ back into the network, which does with them what it does with any gradient (lecture 05).
#
# **Step 6. Where learned noise rests.** Training averages over draws of the weights, $\mathbb{E}_w$. The sum of Step 5
# is zero where $N = \sum_n \mathbb{E}_w (y_n - f_n)^2/\tau^2$, that is, where
#
# $$\tau^2 = \frac1N\sum_n \mathbb{E}_w\,(y_n - f_n)^2 = \frac1N\sum_n
# \Big[(y_n - \mathbb{E}_w f_n)^2 + \mathrm{Var}_w[f_n]\Big].$$
#
# The second form expands the square about $\mathbb{E}_w f_n$; the mixed term
# $-2\,(y_n - \mathbb{E}_w f_n)\,\mathbb{E}_w[f_n - \mathbb{E}_w f_n]$ is zero. So learned noise holds what the mean
# does not explain, and what the draws disagree about. We shall meet this again in section 6.

# %% [markdown]
# **Second, what to predict.**
#
# **Step 7. The predictive distribution.** After training, $q(w \mid \mu, \rho)$ stands for the posterior. The
# prediction averages over it (E1): $P(y \mid x, \mathcal{D}) \approx \frac1S\sum_s \mathcal{N}(y; f_s, \tau_s^2)$,
# where draw $w_s$ gives $f_s$ and $\tau_s$. It is a mixture of $S$ bells.
#
# **Step 8. Its mean.** Draw $w$ first, then $y$ given $w$:
# $\mathbb{E}[y] = \mathbb{E}_w\big[\mathbb{E}[y \mid w]\big] = \mathbb{E}_w[f]$.
#
# **Step 9. Its mean square.** A variance is a mean square less a squared mean, so given $w$ the mean of $y^2$ is
# $\tau^2 + f^2$. On average over $w$: $\mathbb{E}[y^2] = \mathbb{E}_w[\tau^2] + \mathbb{E}_w[f^2]$.
#
# **Step 10. Its variance.** Subtract the square of Step 8; two of the three terms are the variance of $f$:
#
# $$\mathrm{Var}[y] = \mathbb{E}_w[\tau^2] + \mathbb{E}_w[f^2] - (\mathbb{E}_w f)^2 =
# \underbrace{\mathbb{E}_w[\tau^2]}_{\text{aleatoric}} + \underbrace{\mathrm{Var}_w[f]}_{\text{epistemic}} \qquad \text{(E18)}$$
#
# *Aleatoric*, from the Latin for dice: noise of the data. *Epistemic*, from the Greek for knowledge: doubt about the
# weights. The identity is the law of total variance. Nothing was assumed about $q$ or the shape of $f$.

# %% [markdown]
# **Step 11. What more data do.** Take one weight and $f = w$, known $\tau$, prior $\mathcal{N}(0, 1)$, and $N$ targets.
# Precisions add up (lecture 02): $\Lambda = 1 + N/\tau^2$. Hence
#
# $$\mathrm{Var}_w[f] = \frac1\Lambda = \frac{\tau^2}{\tau^2 + N} \longrightarrow 0, \qquad \mathbb{E}_w[\tau^2] =
# \tau^2 \quad \text{whatever } N.$$
#
# **Step 12. An interval.** The probability that a target lies below $y$ is the average of the bells' own,
# $\frac1S\sum_s \Phi\big((y - f_s)/\tau_s\big)$, with $\Phi$ the distribution function of $\mathcal{N}(0, 1)$. It rises
# with $y$, so the $y$ where it equals 0.025 is found by a root finder between two ends that enclose it, and so is that of
# 0.975. Between the two lies 95 %. "Mean plus and minus two deviations" is the same only if the mixture is a bell.
#
# **Step 13. Its check.** Of fresh targets, a true 95 % interval covers 95 %: that part is the *coverage* (E21). Each of
# $N$ targets is in or out, so the count has the variance $0.95 \cdot 0.05\,N$ and the part the deviation
# $\sqrt{0.95 \cdot 0.05/N}$: with 1,000 targets, 0.7 %.
#
# > **The one idea.** Given the weights, the target is only noise. Across the weights, only the mean moves. The variance
# > of a prediction is the average of the noises plus the variance of the means: data buy off the second, never the
# > first.
#
# ## 4 The same in code
#
# The page of plain NumPy. Of the likelihoods, look at the last lines of each function:

# %%
show.source(reference.log_likelihood, reference.log_likelihood_backward, reference.predictive_moments)

# %% [markdown]
# And the kernels:

# %%
show.source(likelihood.gaussian, likelihood.gaussian_backward, predictive.predictive_moments)

# %% [markdown]
# Step 12 is a method of what `predict_distribution` returns. The lowest and the highest of the draws' own quantiles
# enclose that of the mixture:

# %%
show.source(RegressionDistribution.quantile)

# %% [markdown]
# ## 5 Proof
#
# **Finite differences** of E8, for one $\tau$ of each of two targets, and for $\tau$ as a further output:

# %%
rng = np.random.default_rng(0)
y, out, log_noise = rng.normal(size=(5, 2)), rng.normal(size=(5, 4)), np.array([0.3, -0.5])
for name, columns in (("gaussian", 2), ("gaussian_input", 4)):
    f = out[:, :columns]
    df, dlog_noise = reference.log_likelihood_backward(name, f, y, log_noise)
    by_hand = np.append(df, dlog_noise if name == "gaussian" else [])
    z = np.append(f, log_noise if name == "gaussian" else [])
    numeric = numerical_gradient(lambda z: -reference.log_likelihood(
        name, z[:f.size].reshape(f.shape), y, z[f.size:] if z.size > f.size else log_noise), z, 0.02)
    error = worst_entry(by_hand, numeric)[0]
    print(f"{name}: {error:.0e}")
    assert error < 1e-7

# %% [markdown]
# **The code that trains** has the gradient of a learned noise too, beside those of $\mu$ and $\rho$. Its noise of the
# weights is fixed by a key, so that we can compute the slope of the reference's free energy at the same draw:

# %%
architecture, key = Architecture((3, 4, 2), "tanh"), Key(seed=1, step=2)
mu, rho = 0.5 * rng.normal(size=architecture.size), rng.uniform(-2, 1, architecture.size)
X3, y2 = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
objective = Objective(GaussianPrior(0.7), "gaussian_learned", np.exp(log_noise))
trained_by = free_energy_gradient(architecture, mu, rho, X3, y2, objective=objective, key=key)
eps = weight_noise(key, 0, architecture.size).astype(float)[None]
numeric = numerical_gradient(lambda a: reference.free_energy(
    mu, rho, a, X3, y2, eps, (3, 4, 2), "tanh", [(1.0, 0.7)], "gaussian", 1.0), log_noise, 0.02)
error = worst_entry(trained_by.dlog_noise, numeric)[0]
print(f"{error:.0e}")
assert error < 1e-7

# %% [markdown]
# **The exact answer.** In linear regression the variance of a prediction at $x$ is $\tau^2 + x^\top\Lambda^{-1}x$
# (lecture 02). Draw weights from the exact posterior, split by E18, and compare; then draw targets and look at their
# variance as a whole:

# %%
def line(N, tau=0.5):
    """The exact posterior of slope and bias for N points on [0, 2]."""
    x = np.linspace(0, 2, N)
    noise = np.random.default_rng(3).normal(size=N)
    return ConjugateRegression(np.column_stack([x, np.ones(N)]), 0.8 * x - 0.3 + tau * noise, tau, 1.0)

truth, at = line(20), np.array([3.0, 1.0])
covariance = np.linalg.inv(truth.precision)
w = rng.multivariate_normal(truth.mean, covariance, loops(400_000, fast=100_000))
mean, aleatoric, epistemic = reference.predictive_moments(w @ at, np.full(len(w), 0.5**2))
targets = w @ at + 0.5 * rng.normal(size=len(w))
print(f"epistemic {epistemic:.4f}, exact {at @ covariance @ at:.4f}; "
      f"variance of targets {targets.var():.4f}, sum of the parts {aleatoric + epistemic:.4f}")
assert abs(epistemic / (at @ covariance @ at) - 1) < 0.02
assert abs(targets.var() / (aleatoric + epistemic) - 1) < 0.02

# %% [markdown]
# **More data** buy off the epistemic part alone, as Step 11 says:

# %%
for N in (20, 200, 2000):
    doubt = at @ np.linalg.solve(line(N).precision, at)
    print(f"N = {N:4d}: aleatoric 0.2500, epistemic {doubt:.4f}, N times epistemic {N * doubt:.2f}")
assert abs(2000 * doubt / (200 * (at @ np.linalg.solve(line(200).precision, at))) - 1) < 0.05

# %% [markdown]
# **The paper's Figure 5.** 600 points between 0 and 0.5, a curve and noise of deviation 0.05. The same network twice:
# by Bayes by Backprop, and as an ordinary network, one number a weight. Both learn one $\tau$.

# %%
generator = np.random.default_rng(0)
X, y = make_data("paper_figure", 600, generator)
X_new, y_new = make_data("paper_figure", 1000, generator)
settings = dict(hidden=(50,), epochs=loops(3000, fast=1000), learning_rate=1e-2, progress=False)
bayes = BayesRegressor(**settings).fit(X, y)
ordinary = BayesRegressor(**settings, posterior="point").fit(X, y)
print(f"learned noise: {bayes.noise_[0]:.3f} and {ordinary.noise_[0]:.3f}, true 0.05")
assert abs(bayes.noise_[0] / 0.05 - 1) < 0.2 and abs(ordinary.noise_[0] / 0.05 - 1) < 0.2

# %%
grid = np.linspace(-0.25, 1.25, 151)[:, None]
curves = [net.predict_distribution(grid, draws=400) for net in (bayes, ordinary)]
figure = plots.regression(X[:, 0], y, grid[:, 0], *curves)
show.picture(figure, "Above left: Bayes by Backprop fits a noisy curve between 0 and 0.5, and its band "
             "widens where it has seen nothing. Above right: the band of an ordinary network stays as narrow "
             "outside the data as inside. Below: doubt about the weights is small where there are data and "
             "grows away from them, the noise of the data is the same everywhere.", main=True)

# %% [markdown]
# Both networks know the noise. Only one knows where it has been. In numbers, with the coverage of Step 13 on 1,000
# fresh points:

# %%
inside, outside = {}, {}
for name, net in (("Bayes", bayes), ("ordinary", ordinary)):
    low, high = net.predict_distribution([[0.25], [1.25]]).interval(0.95)
    inside[name] = coverage(*net.predict_distribution(X_new).interval(0.95), y_new)
    outside[name] = (high - low)[1] / (high - low)[0]
    print(f"{name}: coverage {inside[name]:.1%}, width at 1.25 over width at 0.25: {outside[name]:.2f}")
assert 0.93 < inside["Bayes"] < 0.99 and 0.93 < inside["ordinary"] < 0.99
assert outside["Bayes"] > 2.5 and abs(outside["ordinary"] - 1) < 1e-3

# %% [markdown]
# What this does *not* show is that the band is true outside. What the curve does there is known to us alone, who made
# the data, and so we can look:

# %%
X_far = np.linspace(0.5, 1, 500)[:, None]
y_far = curve(X_far[:, 0]) + 0.05 * generator.normal(size=500)
far = {name: coverage(*net.predict_distribution(X_far).interval(0.95), y_far)
       for name, net in (("Bayes", bayes), ("ordinary", ordinary))}
print({name: f"{part:.1%}" for name, part in far.items()})
assert max(far.values()) < 0.7

# %% [markdown]
# Wider, and still far too narrow: a network of ReLUs goes on in straight lines where no data bend it, and the curve
# bends twice. A band that widens is a warning, not a guarantee.
#
# **Noise that depends on the input.** Now the data have noise $0.02 + 0.3\,x$. One network learns one $\tau$; the other
# has $\log\tau(x)$ as its second output.

# %%
def tau(x):
    return 0.02 + 0.3 * x

def uneven(N, rng):
    x = rng.uniform(0, 0.5, N)
    return x[:, None], curve(x) + tau(x) * rng.normal(size=N)

(X_uneven, y_uneven), (X_fresh, y_fresh) = uneven(1000, generator), uneven(1000, generator)
one = BayesRegressor(**settings).fit(X_uneven, y_uneven)
second = BayesRegressor(**settings, noise="input").fit(X_uneven, y_uneven)

# %%
x = np.linspace(0, 0.5, 101)
learned = {name: np.sqrt(net.predict_distribution(x[:, None]).aleatoric)
           for name, net in (("one for all", one), ("a second output", second))}
show.picture(plots_course.curves(x, {"true": tau(x), **learned}, xlabel="$x$", ylabel=r"noise $\tau$"),
             "The true noise rises along a straight line; one learned number cuts it in the middle; "
             "the network's second output follows it, and leaves it a little at the right end.")

# %%
at_x, parts = X_fresh[:, 0], {}
for name, net in (("one for all", one), ("a second output", second)):
    low, high = net.predict_distribution(X_fresh).interval(0.95)
    caught = (low <= y_fresh) & (y_fresh <= high)
    parts[name] = caught.mean(), caught[at_x < 0.1].mean(), caught[at_x > 0.4].mean()
    print("{}: coverage {:.1%} in all, {:.1%} left of 0.1, {:.1%} right of 0.4".format(name, *parts[name]))
whole, left, right = parts["one for all"]
assert left > 0.99 and right < 0.92 and 0.9 < whole < 0.98
assert min(parts["a second output"]) > 0.92
assert np.abs(learned["a second output"] / tau(x) - 1)[10:].max() < 0.4

# %% [markdown]
# The second output follows the true noise, and leaves it a little at the right end, where points stand on one side
# only. One number for all gives the right coverage on the whole, by covering too much on one side and too little on the
# other. A coverage is an average: ask for it where it matters.
#
# ## 6 Play
#
# Predict first: with 60 points in place of 600, which of the two parts grows, the doubt or the noise? The data's noise
# is 0.05 as before. Then set `known = True`, which tells the network so.

# %%
n, known = 60, False

def play(n, known):
    """Both parts of the doubt, from n points, with the noise known or learned."""
    net = BayesRegressor(**settings, noise=0.05 if known else "learned").fit(X[:int(n)], y[:int(n)])
    d = net.predict_distribution(grid, draws=200)
    parts = {"epistemic": np.sqrt(d.epistemic), "aleatoric": np.sqrt(d.aleatoric)}
    figure = plots_course.curves(grid[:, 0], parts, xlabel="$x$", ylabel="deviation")
    return show.picture(figure, f"Epistemic and aleatoric deviation against x, learned from {int(n)} points.")

show.slider(play, n=(10, 600, 10), known=[False, True])
play(n, known)

# %% [markdown]
# Both grow! The second is no contradiction to Step 11, where $\tau$ was known. Learned noise holds, by Step 6, all that
# the mean does not explain and what the draws disagree about, and with few points that is much. We check Step 6 on the
# network of the figure, and the growth with the noise learned and known:

# %%
d = bayes.predict_distribution(X)
rest = np.mean((y - d.mean)**2 + d.epistemic)
print(f"learned noise {bayes.noise_[0]:.4f}, Step 6 says {np.sqrt(rest):.4f}")
assert abs(bayes.noise_[0] / np.sqrt(rest) - 1) < 0.06

few = {noise: BayesRegressor(**settings, noise=noise) for noise in ("learned", 0.05)}
for noise, net in few.items():
    net.fit(X[:60], y[:60])
    grown = net.predict_distribution(X).epistemic.mean() / d.epistemic.mean()
    print(f"60 points, noise {noise}: aleatoric {net.noise_[0]:.3f}, epistemic {grown:.0f} times as large")
    assert grown > 3
assert few["learned"].noise_[0] > 1.4 * bayes.noise_[0] and abs(few[0.05].noise_[0] / 0.05 - 1) < 1e-6

# %% [markdown]
# So "aleatoric" is what the *model* takes for noise. It is the data's noise only if the model has enough data and
# enough units to explain the rest.
#
# ## 7 Exercises
#
# Solutions: [the solved notebook](solutions/08_regression_with_doubt.ipynb).
#
# **Warm-up (E8).** The gradient of the loss of Step 2, for $N$ outputs `f` and targets `y`, both of shape (N,), and one
# learned $\tau$, given by its logarithm. Return `df`, shape (N,), and `dlog_noise`, one number.
#
# <details><summary>Hint</summary>Step 4 for every example. They share one tau: what happens to their
# gradients?</details>

# %%
def noise_backward(f, y, log_noise):
    ### BEGIN SOLUTION
    tau = np.exp(log_noise)
    return -(y - f) / tau**2, np.sum(1 - ((y - f) / tau)**2)
    ### END SOLUTION

check.E8(noise_backward)

# %% [markdown]
# **Core (E18).** The law of total variance. `f` and `variance` have shape (S, G): the mean and $\tau^2$ under each of
# $S$ draws, at $G$ inputs. Return mean, aleatoric and epistemic part, each of shape (G,).
#
# <details><summary>Hint</summary>Steps 8 and 10. All three are taken over the draws, the first axis; variances, not
# deviations.</details>

# %%
def total_variance(f, variance):
    ### BEGIN SOLUTION
    mean = f.mean(axis=0)
    return mean, variance.mean(axis=0), np.mean((f - mean)**2, axis=0)
    ### END SOLUTION

check.E18(total_variance)

# %% [markdown]
# **Stretch (E21, coverage).** Which part of the targets `y`, shape (N,), lies in the central interval of its mixture?
# `f` and `deviation` have shape (S, N), `level` is such as 0.95, and `ndtr` is $\Phi$. No root finder is needed.
#
# <details><summary>Hint</summary>Where is a target, as a part of its own predictive distribution? Step 12 gives a
# number between 0 and 1. For which of these numbers is the target in the interval?</details>

# %%
from scipy.special import ndtr

def mixture_coverage(f, deviation, y, level):
    ### BEGIN SOLUTION
    below = ndtr((y - f) / deviation).mean(axis=0)
    return np.mean((below >= (1 - level) / 2) & (below <= (1 + level) / 2))
    ### END SOLUTION

check.E21_mixture(mixture_coverage)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of [the museum](MUSEUM.md).
#
# **Exhibit 16, one draw for all.** To get 100 draws in one pass, 100 copies of an input go through the network. But the
# pass draws its weights once. All copies agree, and the doubt is reported as zero, far from all data:

# %%
copies = np.full((100, 1), 1.0)
one_pass = bayes.predict_distribution(copies, draws=1).mean
right = bayes.predict_distribution(copies[:1], draws=100)
print(f"variance of the copies {one_pass.var():.4f}, epistemic part of 100 draws {right.epistemic[0]:.4f}")
assert np.ptp(one_pass) == 0 and right.epistemic[0] > 0.003

# %% [markdown]
# **Exhibit 17, interval from one draw.** Two deviations of the noise about one draw of the weights. Among the data
# nothing is seen, where noise is nearly all; outside it is the interval of an ordinary network.

# %%
single = bayes.predict_distribution(X_new, draws=1)
low, high = bayes.predict_distribution([[0.25], [1.25]], draws=1).interval(0.95)
print(f"coverage {coverage(*single.interval(0.95), y_new):.1%}, width at 1.25 over width at 0.25: "
      f"{(high - low)[1] / (high - low)[0]:.2f}, where it was {outside['Bayes']:.2f}")
assert coverage(*single.interval(0.95), y_new) > 0.9 and abs((high - low)[1] / (high - low)[0] - 1) < 1e-3

# %% [markdown]
# **Exhibit 19, squared error as likelihood.** The loss is the mean squared error over the $B$ examples of a minibatch,
# plus the KL. Compare with Step 2: $\frac1B\sum_n (y_n - f_n)^2 = \sum_n (y_n - f_n)^2/2\tau^2$ with $\tau^2 = B/2$.
# For $B = 128$ that is a noise of $8$ deviations of the targets (they are scaled to deviation 1 inside), which nobody
# wrote down. The network then explains little, and is said to underfit because it is Bayesian:

# %%
hidden_noise = np.sqrt(128 / 2) * y.std()
mean_squared = BayesRegressor(**settings, noise=hidden_noise).fit(X, y)
unwritten, written = (net.score(X_new, y_new) for net in (mean_squared, bayes))
print(f"R^2 {unwritten:.2f}, with the noise written down {written:.2f}")
assert unwritten < 0.5 and written > 0.8

# %% [markdown]
# ## 9 Key points
#
# * $\mathrm{d}f = -(y - f)/\tau^2$ and $\mathrm{d}\log\tau = 1 - (y - f)^2/\tau^2$, for fixed, learned and
#   input-dependent noise alike.
# * $\mathrm{Var}[y] = \mathbb{E}_w[\tau^2] + \mathrm{Var}_w[f]$: variances add up, deviations do not.
# * Data buy off the epistemic part. The aleatoric part is what the model takes for noise.
# * An interval is a promise, and coverage its audit: on fresh data, and where it matters, not on average only.
# * Among the data, a wrong interval looks like a right one. Look outside.
#
# **Glossary.** *Aleatoric*: noise of the data, $\mathbb{E}_w[\tau^2]$. *Epistemic*: doubt about the weights,
# $\mathrm{Var}_w[f]$. *Coverage*: part of fresh targets in their intervals. *Predictive distribution*: the mixture of
# all draws' bells. *Homoscedastic*, *heteroscedastic*: with one noise for all, with noise that depends on the input.
#
# **Eight questions.** 1. Why is $\log\tau$ the parameter, and not $\tau$? 2. What stops $\tau$ from growing for ever? 3.
# Which of the two parts does a second thermometer reduce? 4. Why is $0.3 + 0.4 = 0.5$ for two deviations? 5. An
# interval covers 100 %. Is that good? 6. Why does the band of an ordinary network not widen? 7. Why may learned noise
# be too large with few data? 8. How many fresh targets tell 95 % from 94 %?
#
# **Further reading.** Blundell, Cornebise, Kavukcuoglu and Wierstra (2015), *Weight Uncertainty in Neural Networks*,
# section 5.2. Nix and Weigend (1994), *Estimating the mean and variance of the target probability distribution*.
# Kendall and Gal (2017), *What uncertainties do we need in Bayesian deep learning for computer vision?* Gneiting and
# Raftery (2007), *Strictly proper scoring rules, prediction, and estimation*. In this package:
# [`likelihood.py`](../bbbnp/kernels/likelihood.py), [`prediction.py`](../bbbnp/prediction.py).
