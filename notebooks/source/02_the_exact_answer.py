# %% [markdown]
# # 02 The exact answer
#
# ![Four columns for 0, 1, 2 and 20 points. Above, the ellipse of plausible slopes and biases shrinks towards a cross, the truth. Below, the lines drawn from it go from a wild bundle to a tight one through the points.](../pictures/lecture_02.png)
#
# **You will be able to** complete a square in many dimensions; compute the posterior, the predictions and the evidence
# of linear regression; say which prior a ridge penalty stands for.
#
# **You need** lecture 01 (Bayes' rule on a grid); matrices, and that variances of independent terms add.
#
# **Minutes**: 60 to read, 45 for the exercises. **Equations**: E1, E6, E8, E18 of the [ledger](EQUATIONS.md); symbols
# are in the [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import plots_course as plots, plots_course_vi as pictures, reference
from bbbnp.course import check, loops, show
from bbbnp.exact import ConjugateRegression
from bbbnp.gradcheck import numerical_gradient
from bbbnp.kernels import likelihood, predictive

# %% [markdown]
# ## 1 A question
#
# Least squares gives one line, even through two noisy points. But many lines are nearly as good. Can we say exactly how
# much to believe each one, and how wrong the next prediction may be? And a trick that everybody uses, a small penalty
# on
# large weights: where does it come from, and how large should it be?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# One weight, two examples: $y = w x + {}$noise with $\tau = 1$, $x = (1, 2)$, $y = (1, 1)$, and the prior
# $\mathcal{N}(0,
# 1)$. Believe each $w$ by prior times likelihood; the exponent is $-\tfrac12$ times
#
# $$w^2 + (1 - w)^2 + (1 - 2w)^2 = 6w^2 - 6w + 2 = 6\,(w - \tfrac12)^2 + \tfrac12.$$
#
# The last step is *completing the square*. What depends on $w$ is that of a bell with centre $m = \tfrac12$ and
# variance $\tfrac16$: six units of *precision*, $1$ from the prior and $1^2 + 2^2$ from the data.
#
# * Least squares has no $w^2$ of the prior: $5w^2 - 6w + 2$ is lowest at $0.6$. The prior pulls it to $0.5$.
# * At $x = 3$ the line is at $3w$: mean $1.5$, variance $9/6 = 1.5$. A target there has the noise on top, variance
#   $2.5$.
#
# Bayes' rule on a grid knows nothing of squares. Does it agree?

# %%
w = np.linspace(-3, 4, 7001)
log_joint = -(w**2 + (1 - w)**2 + (1 - 2 * w)**2) / 2
share, _ = reference.bayes_rule(log_joint)
mean = np.sum(share * w)
variance = np.sum(share * (w - mean)**2)
least = w[np.argmin((1 - w)**2 + (1 - 2 * w)**2)]
print(f"mean {mean:.6f}, variance {variance:.6f}, least squares {least:.1f}")
assert abs(mean - 1 / 2) < 1e-6 and abs(variance - 1 / 6) < 1e-6

# %% [markdown]
# ## 3 Derivation
#
# **Step 1. The model.** $N$ examples, $D$ weights: $y = Xw + {}$noise, where row $n$ of $X$ is $x_n$ and the noise is
# independent with deviation $\tau$. Each weight has the prior $\mathcal{N}(0, \sigma_p^2)$. Sums of normal log
# densities
# are (E8, E6)
#
# $$\log P(\mathcal{D} \mid w) = -\frac{\|y - Xw\|^2}{2\tau^2} - N\log\tau - \tfrac N2\log 2\pi, \qquad \log P(w) =
# -\frac{\|w\|^2}{2\sigma_p^2} - D\log\sigma_p - \tfrac D2\log 2\pi.$$
#
# **Step 2. Bayes' rule (E1).** $P(\mathcal{D})$ has no $w$ in it. So, up to a constant,
#
# $$\log P(w \mid \mathcal{D}) = -\frac12\Big(\frac{\|y - Xw\|^2}{\tau^2} + \frac{\|w\|^2}{\sigma_p^2}\Big) + \dots$$
#
# **Step 3. Multiply out.** A number is its own transpose, so $y^\top X w = w^\top X^\top y$ and $\|y - Xw\|^2 =
# y^\top y - 2w^\top X^\top y + w^\top X^\top X w$. Sort by powers of $w$: the bracket is
#
# $$w^\top\Lambda w - 2w^\top\frac{X^\top y}{\tau^2} + \dots, \qquad \Lambda = \frac{X^\top X}{\tau^2} +
# \frac{I}{\sigma_p^2}.$$

# %% [markdown]
# **Step 4. Complete the square.** Let $m$ solve $\Lambda m = X^\top y/\tau^2$. $\Lambda$ is symmetric, so
# $m^\top\Lambda w =
# w^\top\Lambda m$, and
#
# $$(w - m)^\top\Lambda(w - m) = w^\top\Lambda w - 2w^\top\Lambda m + m^\top\Lambda m.$$
#
# The first two terms are those of Step 3. The third has no $w$: take it to the constants.
#
# $$P(w \mid \mathcal{D}) \propto \exp\big(-\tfrac12(w - m)^\top\Lambda(w - m)\big).$$
#
# $m$ is there: $v^\top\Lambda v = \|Xv\|^2/\tau^2 + \|v\|^2/\sigma_p^2 > 0$ for every $v \ne 0$, so $\Lambda$ can be
# inverted, with any number of data, also none.
#
# **Step 5. Which bell is that?** A matrix with $v^\top\Lambda v > 0$ is $\Lambda = R^\top R$ with $R$ upper triangular
# (Cholesky). Let $z = R(w - m)$; the exponent is $-\tfrac12 z^\top z$, so the entries of $z$ are independent and
# standard normal.
# Turned round, $w = m + R^{-1}z$: this is how to draw. The mean is $m$ and the covariance
#
# $$V = \mathbb{E}[R^{-1}z z^\top R^{-\top}] = R^{-1}R^{-\top} = (R^\top R)^{-1} = \Lambda^{-1}.$$
#
# The posterior is $\mathcal{N}(m, \Lambda^{-1})$. The constant of its density is $\sqrt{\det\Lambda}/(2\pi)^{D/2}$,
# since
# $\mathrm{d}z = \det R\,\mathrm{d}w$ and $\det R = \sqrt{\det\Lambda}$.

# %% [markdown]
# **Step 6. Ridge.** The most probable weights (*maximum a posteriori*, MAP) make the bracket of Step 2 smallest. Times
# $\tau^2$ it is
#
# $$\|y - Xw\|^2 + \alpha\,\|w\|^2, \qquad \alpha = \frac{\tau^2}{\sigma_p^2}.$$
#
# This is ridge regression. Its penalty is a prior, its size the variance of the noise over that of the weights, and its
# answer is $m$: the mean of a normal density is its highest point.
#
# **Step 7. Predict.** At an input $x$ the line is $f = x^\top w$, with mean $x^\top m$. Its variance is $\sum_{jk} x_j
# x_k V_{jk}$. A target adds independent noise, so (E18)
#
# $$\mathrm{Var}[y] = \underbrace{\tau^2}_{\text{noise}} + \underbrace{x^\top\Lambda^{-1}x}_{\text{doubt about the
# weights}}.$$
#
# $f$ is a sum of normal variables by Step 5, hence normal; so is $y$. The first part stays whatever is learned. The
# second shrinks with more data.
#
# **Step 8. One more example.** $X^\top X$ is a sum over the examples, so a new $(x, y)$ adds $x x^\top/\tau^2$ to
# $\Lambda$ and $x
# y/\tau^2$ to $\Lambda m$. The order does not matter: today's posterior is tomorrow's prior.
#
# **Step 9. The evidence.** $y = Xw + {}$noise is a sum of normal variables with mean zero. The parts are independent,
# so
# its covariance is $C = \mathbb{E}[X w w^\top X^\top] + \tau^2 I = \sigma_p^2 X X^\top + \tau^2 I$. A normal density
# with covariance $C$ is that of Step 5 with $C^{-1}$ for $\Lambda$ and $\det C^{-1} = 1/\det C$. At the data its
# logarithm is
#
# $$\log P(\mathcal{D}) = -\tfrac12\big(y^\top C^{-1}y + \log\det C + N\log 2\pi\big).$$

# %% [markdown]
# > **The one idea.** The logarithm of a bell is a parabola, and a sum of parabolas is a parabola. So prior and data add
# > up: precisions add, and the centre is where the parabola is highest. Completing the square reads both off.
#
# ## 4 The same in code
#
# The parts on the page of plain NumPy: Bayes' rule, the two densities, and the two parts of a variance from draws.

# %%
show.source(reference.bayes_rule, reference.gaussian_density, reference.log_prior, reference.predictive_moments)

# %% [markdown]
# Their kernels: Bayes' rule in logarithms, so that nothing underflows, and $\log P$ of one target. The kernel leaves
# the
# constant $-\tfrac12\log 2\pi$ to the sum over all targets.

# %%
show.source(predictive.bayes_rule, likelihood.gaussian)

# %% [markdown]
# And Steps 3, 4 and 9:

# %%
show.source(*(getattr(ConjugateRegression, name).fget for name in ("precision", "mean", "log_evidence")))

# %% [markdown]
# ## 5 Proof
#
# Twenty points of a line, slope 0.8 and bias $-0.3$.

# %%
rng = np.random.default_rng(9)
truth, tau, sigma_p = np.array([0.8, -0.3]), 0.4, 1.0
x = rng.uniform(-1, 2, 20)
X = np.column_stack([x, np.ones(20)])
y = X @ truth + tau * rng.normal(size=20)
line = ConjugateRegression(X, y, noise=tau, prior_sigma=sigma_p)
m, V = line.mean, np.linalg.inv(line.precision)
print("mean", m.round(3), " deviations", np.sqrt(np.diag(V)).round(3))

# %% [markdown]
# **Against a grid.** Bayes' rule on 90,000 pairs of slope and bias, with no algebra at all:

# %%
axes = [np.linspace(c - 7 * s, c + 7 * s, 300) for c, s in zip(m, np.sqrt(np.diag(V)))]
pairs = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
log_joint = -np.sum((y - pairs @ X.T)**2, axis=1) / (2 * tau**2) - np.sum(pairs**2, axis=1) / (2 * sigma_p**2)
log_share = np.empty_like(log_joint)
predictive.bayes_rule(log_share, log_joint)
share = np.exp(log_share)
grid_mean = share @ pairs
grid_V = (share[:, None] * (pairs - grid_mean)).T @ (pairs - grid_mean)
print(f"mean off by {np.abs(grid_mean - m).max():.0e}, covariance by {np.abs(grid_V - V).max():.0e}")
assert np.abs(grid_mean - m).max() < 1e-8 and np.abs(grid_V - V).max() < 1e-8

# %% [markdown]
# **Against least squares.** A penalty $\alpha w_j^2$ is the squared error of one more example, with input $\sqrt\alpha$
# for weight $j$ and target 0. So an ordinary least-squares routine must find $m$ when these examples are put below the
# data. And the slope of the log posterior there must be zero:

# %%
alpha = tau**2 / sigma_p**2
rows, targets = np.vstack([X, np.sqrt(alpha) * np.eye(2)]), np.append(y, [0, 0])
ridge, *_ = np.linalg.lstsq(rows, targets, rcond=None)

def minus_log_posterior(w):
    return np.sum((y - X @ w)**2) / (2 * tau**2) - reference.log_prior(w, [(1.0, sigma_p)])

slope = numerical_gradient(minus_log_posterior, m, 0.1)
print("ridge", ridge.round(6), " m", m.round(6), f" largest slope at m {np.abs(slope).max():.0e}")
assert np.allclose(ridge, m, rtol=1e-10) and np.abs(slope).max() < 1e-8

# %% [markdown]
# **The evidence, by Bayes' rule read backwards.** $P(\mathcal{D}) = P(\mathcal{D} \mid w)\,P(w)/P(w \mid \mathcal{D})$
# must
# give the same number at *every* $w$, and that of Step 9. A wrong constant anywhere would show:

# %%
def log_evidence_at(w):
    log_lik = np.sum([likelihood.gaussian(f, t, np.log(tau)) - np.log(2 * np.pi) / 2 for f, t in zip(X @ w, y)])
    posterior = np.linalg.slogdet(line.precision)[1] / 2 - np.log(2 * np.pi)
    posterior -= (w - m) @ line.precision @ (w - m) / 2
    return log_lik + reference.log_prior(w, [(1.0, sigma_p)]) - posterior

values = [log_evidence_at(w) for w in rng.normal(size=(5, 2))]
print(f"at five w: {min(values):.9f} to {max(values):.9f}; Step 9: {line.log_evidence:.9f}")
assert np.allclose(values, line.log_evidence, rtol=1e-10)

# %% [markdown]
# **One at a time.** Step 8: start with the prior and add the examples in any order.

# %%
precision, right = np.eye(2) / sigma_p**2, np.zeros(2)
for n in rng.permutation(20):
    precision += np.outer(X[n], X[n]) / tau**2
    right += X[n] * y[n] / tau**2
assert np.allclose(precision, line.precision) and np.allclose(np.linalg.solve(precision, right), m)

# %% [markdown]
# **The lines.** Draw $w = m + R^{-1}z$ (Step 5) after 0, 1, 2 and 20 points. Above: where slope and bias may be, the
# ellipse of two deviations. Below: the lines that this means.

# %%
def draw_lines(mean, precision, z):
    """Weights m + R^-1 z, shape (S, D), for standard normal z of that shape."""
    R = np.linalg.cholesky(precision).T  # NumPy gives the lower factor
    return mean + np.linalg.solve(R, z.T).T

def panel(n, tau=tau, sigma_p=sigma_p, lines=25):
    """What is known after n points, for the figure."""
    rows, targets = (X[:n], y[:n]) if n else (np.zeros((1, 2)), np.zeros(1))  # an input of zeros tells nothing
    part = ConjugateRegression(rows, targets, noise=tau, prior_sigma=sigma_p)
    z = np.random.default_rng(4).normal(size=(lines, 2))
    return part.mean, np.linalg.inv(part.precision), draw_lines(part.mean, part.precision, z), x[:n], y[:n]

grid = np.linspace(-1.5, 3, 46)
show.picture(pictures.posterior_lines([panel(n) for n in (0, 1, 2, 20)], truth, grid),
             "Above, the ellipse of plausible slopes and biases is a circle without data, long and thin after "
             "one point, and shrinks onto the truth. Below, the lines drawn from it gather too.", main=True)

# %% [markdown]
# One point ties slope and bias together without fixing either: every line that passes near it will do. That is
# *correlation*, and lecture 03 shows what is lost without it.
#
# **Predictions.** Are the two parts of Step 7 those of many draws? And the band is narrow where the data are:

# %%
S = loops(200_000, fast=20_000)
inputs = np.column_stack([grid, np.ones(grid.size)])
draws = draw_lines(m, line.precision, rng.normal(size=(S, 2)))
mean, noise, doubt = reference.predictive_moments(draws @ inputs.T, np.full((1, grid.size), tau**2))
exact_doubt = np.sum(inputs @ V * inputs, axis=1)
print("measured over exact:", (doubt / exact_doubt).min().round(3), "to", (doubt / exact_doubt).max().round(3))
assert np.abs(doubt / exact_doubt - 1).max() < 6 * np.sqrt(2 / S) and np.allclose(noise, tau**2)
assert grid[exact_doubt.argmin()] > -0.5 and grid[exact_doubt.argmin()] < 1.5

# %%
half = 1.96 * np.sqrt(exact_doubt + tau**2)
show.picture(plots.fan(grid, draws[:25] @ inputs.T, x, y, band=(inputs @ m - half, inputs @ m + half)),
             "Twenty-five lines through the points, close together among them and apart beyond; the shaded 95 "
             "percent band around them holds nearly all points and is a little wider at the ends.")

# %% [markdown]
# **Coverage.** If the weights do come from the prior and the noise is as stated, a 95 % interval for a new target must
# hold it 95 times of 100: here at $x = 3$, outside the data, with a new line and new data each time.

# %%
def coverage(interval, points=20, repeats=loops(4000, fast=1000)):
    """How often `interval`, of the model and an input, holds a new target at x = 3."""
    rng, held, new = np.random.default_rng(11), 0, np.array([3.0, 1.0])
    for _ in range(repeats):
        w = sigma_p * rng.normal(size=2)
        inputs = np.column_stack([rng.uniform(-1, 2, points), np.ones(points)])
        model = ConjugateRegression(inputs, inputs @ w + tau * rng.normal(size=points), tau, sigma_p)
        low, high = interval(model, new, rng)
        held += low < new @ w + tau * rng.normal() < high
    return held / repeats

# %%
def exact_interval(model, new, rng):
    half = 1.96 * np.sqrt(tau**2 + new @ np.linalg.solve(model.precision, new))
    return new @ model.mean - half, new @ model.mean + half

exact_coverage = coverage(exact_interval, points=5)
print(f"{exact_coverage:.1%}")
assert 0.93 < exact_coverage < 0.97

# %% [markdown]
# ## 6 Play
#
# Predict first: what does a narrow prior, $\sigma_p = 0.1$, do to two points, and what to twenty? Then change one
# thing.

# %%
noise, prior, lines = 0.4, 0.1, 25

def play(noise, prior, lines):
    """The same four columns with other settings of the model; the data stay."""
    panels = [panel(n, noise, prior, int(lines)) for n in (0, 1, 2, 20)]
    figure = pictures.posterior_lines(panels, truth, grid)
    return show.picture(figure, f"The same columns for noise {noise} and prior deviation {prior}.")

show.slider(play, noise=(0.1, 1.0, 0.1), prior=(0.1, 2.0, 0.1), lines=(5, 50, 5))
play(noise, prior, lines)

# %% [markdown]
# The narrow prior holds the lines near zero. After two points it still wins: its precision is $1/0.1^2 = 100$ for each
# weight, and one example adds $1/0.4^2 = 6.25$ to that of the bias. After twenty the two are about equal, and the lines
# are still too flat. Can the data tell that this prior is bad? The evidence can:

# %%
for prior in (0.1, 0.3, 1.0, 3.0, 10.0):
    print(f"prior {prior:4}: log P(D) = {ConjugateRegression(X, y, tau, prior).log_evidence:.2f}")
evidences = {prior: ConjugateRegression(X, y, tau, prior).log_evidence for prior in (0.1, 1.0, 10.0)}
assert evidences[1.0] > evidences[10.0] > evidences[0.1]

# %% [markdown]
# A prior that is too narrow excludes the truth; one that is too wide spreads its belief over lines that nobody saw. The
# evidence is highest in between.
#
# ## 7 Exercises
#
# Write an equation again, and let the check tell you. Solutions: [the solved
# notebook](solutions/02_the_exact_answer.ipynb).
#
# **Warm-up.** Complete the square: for a symmetric $A$ and a vector $b$ find $m$ and $c$ so that $w^\top A w - 2b^\top
# w =
# (w - m)^\top A(w - m) + c$ for every $w$.
#
# <details><summary>Hint</summary>Multiply the right side out and compare what stands before w; then what has no
# w.</details>

# %%
def complete_square(A, b):
    ### BEGIN SOLUTION
    m = np.linalg.solve(A, b)
    return m, -m @ A @ m
    ### END SOLUTION

check.square(complete_square)

# %% [markdown]
# **Core (E1).** The posterior of linear regression: its mean, shape (D,), and covariance, shape (D, D).
#
# <details><summary>Hint</summary>Steps 3 and 4. First Lambda; then one system of equations and one inverse.</details>

# %%
def line_posterior(X, y, noise, prior_sigma):
    ### BEGIN SOLUTION
    precision = X.T @ X / noise**2 + np.eye(X.shape[1]) / prior_sigma**2
    return np.linalg.solve(precision, X.T @ y / noise**2), np.linalg.inv(precision)
    ### END SOLUTION

check.posterior(line_posterior)

# %% [markdown]
# **Core (E18).** The variance of a target at each row of `x`, shape (G, D), from the posterior's precision and the
# noise
# $\tau$.
#
# <details><summary>Hint</summary>Step 7. Two parts. For the second, multiply x by the covariance, then entry by entry
# by x, and sum over the weights.</details>

# %%
def predictive_variance(x, precision, noise):
    ### BEGIN SOLUTION
    return np.sum(x @ np.linalg.inv(precision) * x, axis=1) + noise**2
    ### END SOLUTION

check.predictive(predictive_variance)

# %% [markdown]
# **Stretch (E1).** The logarithm of the evidence.
#
# <details><summary>Hint</summary>Step 9. np.linalg.slogdet gives the sign and the logarithm of a
# determinant.</details>

# %%
def log_evidence(X, y, noise, prior_sigma):
    ### BEGIN SOLUTION
    C = noise**2 * np.eye(len(y)) + prior_sigma**2 * X @ X.T
    return -(y @ np.linalg.solve(C, y) + np.linalg.slogdet(C)[1] + len(y) * np.log(2 * np.pi)) / 2
    ### END SOLUTION

check.evidence(log_evidence)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of the [museum](MUSEUM.md) of bugs that were found in published code, as they look where the exact
# answer is known. In each the lines go through the points. Only the coverage tells, 95 % if all is right.
#
# **Exhibit 19, squared error as likelihood.** The loss is the *mean* squared error in place of the sum, plus the
# penalty
# of the prior. That divides the data's precision by $N$: twenty examples count as one, and the intervals are far too
# wide.

# %%
def with_data_times(factor):
    """An interval from a posterior whose data count `factor` times."""
    def interval(model, new, rng):
        s = np.sqrt(factor)
        return exact_interval(ConjugateRegression(s * model.X, s * model.y, tau, sigma_p), new, rng)
    return interval

mean_loss = coverage(with_data_times(1 / 20))
print(f"{mean_loss:.1%} with the mean, {coverage(exact_interval):.1%} with the sum")
assert mean_loss > 0.985

# %% [markdown]
# **Exhibit 2, likelihood scaled twice.** The data count ten times: their sum is scaled to all examples, and the prior
# is
# divided by the number of minibatches as well. The means hardly move. The doubt is $\sqrt{10}$ times too small.

# %%
twice = coverage(with_data_times(10), points=5)
print(f"{twice:.1%} of the targets, {exact_coverage:.1%} if all is right")
assert twice < exact_coverage - 0.08

# %% [markdown]
# **Exhibit 17, interval from one draw.** The interval is two deviations of the noise about one draw of the weights.
# What
# the draws disagree about is not in it, and it is another interval at every call.

# %%
def one_draw(model, new, rng):
    w = draw_lines(model.mean, model.precision, rng.normal(size=(1, 2)))[0]
    return new @ w - 1.96 * tau, new @ w + 1.96 * tau

single = coverage(one_draw, points=5)
print(f"{single:.1%}")
assert single < exact_coverage - 0.1

# %% [markdown]
# ## 9 Key points
#
# * The posterior of linear regression is $\mathcal{N}(m, \Lambda^{-1})$: precisions of prior and data add.
# * Ridge is the most probable line, and $\alpha = \tau^2/\sigma_p^2$ is its prior.
# * A prediction has two doubts: noise, which stays, and weights, which more data settle.
# * For a network none of this can be computed. It is the truth that the next lectures are measured by.
#
# **Glossary.** *Conjugate*: prior and posterior are of one family. *Evidence*: $P(\mathcal{D})$, the density of the
# data
# before any weight is known. *MAP*: the most probable weights. *Precision*: inverse of a variance or a covariance.
# *Ridge*: least squares with a penalty on squares of weights.
#
# **Eight questions.** 1. Why do precisions add, and not variances? 2. What is the posterior without data? 3. Why can
# $\Lambda$ always be inverted, though $X^\top X$ cannot? 4. Which $\sigma_p$ makes ridge least squares? 5. Which
# part of a prediction's variance does a hundredth example not change? 6. Why are slope and bias correlated when all $x$
# are positive? 7. Where is the band of the lines narrowest? 8. Why does the evidence not grow with $\sigma_p$?
#
# **Further reading.** Bishop (2006), *Pattern Recognition and Machine Learning*, section 3.3. MacKay (1992), *Bayesian
# Interpolation*. Hoerl and Kennard (1970), *Ridge Regression*. In this package: [`exact.py`](../bbbnp/exact.py),
# [`likelihood.py`](../bbbnp/kernels/likelihood.py).
