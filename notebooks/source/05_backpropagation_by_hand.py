# %% [markdown]
# # 05 Backpropagation by hand
#
# ![The error of a numerical derivative against the step, both axes logarithmic: for central differences a V with its tip near a step of one hundred-thousandth; for forward differences a V that is higher.](../pictures/lecture_05.png)
#
# **You will be able to** derive the gradient of a dense layer and of its activation; write a gradient checker and say
# how small its error can be; find a wrong line in a backward pass.
#
# **You need** the chain rule, matrix products, and lecture 00.
#
# **Minutes**: 70 to read, 60 for the exercises. **Equations**: E10, E11 of the [ledger](EQUATIONS.md); symbols are in
# the [notation table](NOTATION.md).

# %%
import numpy as np

from bbbnp import plots_course as plots, reference
from bbbnp.course import check, lecture_05, show
from bbbnp.gradcheck import numerical_gradient, ridders, worst_entry
from bbbnp.kernels import activation, dense

# %% [markdown]
# ## 1 A question
#
# A network with a million weights turns an input into one number, the loss. You want to know how that number moves when
# any single weight moves. Trying each weight costs a million evaluations. There is a way that gives all million answers
# for the price of about three. How can that be, and how would you notice if one of the answers were wrong?

# %% [markdown]
# ## 2 By hand on the smallest case
#
# One input $x = 2$, one tanh unit with weight $0.5$ and no bias, one output with weight $3$, loss $L = f^2/2$:
#
# * forward: $z = 0.5 \cdot 2 = 1$, $h = \tanh 1 = 0.7616$, $f = 3h = 2.2848$, $L = 2.6101$;
# * backward: $\mathrm{d}f = f = 2.2848$; $\mathrm{d}h = 3\,\mathrm{d}f = 6.8543$; $\mathrm{d}z = \mathrm{d}h\,(1 - h^2) = 6.8543
#   \cdot 0.41997 = 2.8786$;
# * the weights: that of the output $\mathrm{d}f\,h = 1.7400$, that of the unit $\mathrm{d}z\,x = 5.7573$.
#
# Each line used a number of the line before and one number of the forward pass. That is all of backpropagation.

# %%
def loss(a, b, x=2.0):
    return (b * np.tanh(a * x))**2 / 2

h = 1e-5
da = (loss(0.5 + h, 3.0) - loss(0.5 - h, 3.0)) / (2 * h)
db = (loss(0.5, 3.0 + h) - loss(0.5, 3.0 - h)) / (2 * h)
print(f"da = {da:.4f}, db = {db:.4f}")
assert abs(da - 5.7573) < 1e-3 and abs(db - 1.7400) < 1e-3

# %% [markdown]
# ## 3 Derivation
#
# We write $\mathrm{d}a$ for $\partial L/\partial a$, the gradient of the loss in $a$; it has the shape of $a$.
#
# **Step 1. One entry of a dense layer.** For example $n$ of the batch and output $j$, $y_{nj} = \sum_k x_{nk} W_{kj} +
# b_j$; as matrices $y = xW + b$.
#
# **Step 2. The weights.** $W_{kj}$ moves $y_{nj}$ of every example, by $x_{nk}$. Add all its ways to the loss:
#
# $$\mathrm{d}W_{kj} = \sum_n \mathrm{d}y_{nj}\,\frac{\partial y_{nj}}{\partial W_{kj}} = \sum_n
# x_{nk}\,\mathrm{d}y_{nj} \qquad\text{so}\qquad \mathrm{d}W = x^\top \mathrm{d}y.$$
#
# **Step 3. The bias.** $b_j$ moves $y_{nj}$ of every example by one: $\mathrm{d}b_j = \sum_n \mathrm{d}y_{nj}$.
#
# **Step 4. The input.** $x_{nk}$ moves every output $j$ of its own example, by $W_{kj}$:
#
# $$\mathrm{d}x_{nk} = \sum_j \mathrm{d}y_{nj} W_{kj} \qquad\text{so}\qquad \mathrm{d}x = \mathrm{d}y\,W^\top
# \qquad\text{(Steps 2 to 4 are E10).}$$

# %% [markdown]
# **Step 5. The activation (E11).** $h = f(z)$ entry by entry, so $\mathrm{d}z = \mathrm{d}h\,f'(z)$. Each $f'$ can be
# said with $h$ alone, so that $z$ need not be kept:
#
# * relu, $h = \max(z, 0)$: the slope is 1 where $z > 0$, which is where $h > 0$, and 0 elsewhere;
# * tanh: $\tanh z = \sinh z/\cosh z$, so the slope is $(\cosh^2 z - \sinh^2 z)/\cosh^2 z = 1 - h^2$;
# * logistic, $h = 1/(1 + e^{-z})$: the slope is $e^{-z}/(1 + e^{-z})^2 = h \cdot e^{-z}/(1 + e^{-z}) = h(1 - h)$.
#
# **Step 6. The network.** $h_0 = x$, $h_l = f(h_{l-1} W_l + b_l)$. Backward, from the last layer: $\mathrm{d}y$ gives
# $\mathrm{d}W_l, \mathrm{d}b_l$ and $\mathrm{d}h_{l-1}$ (E10), the
# activation gives the $\mathrm{d}y$ of layer $l - 1$ (E11), and so on. Each layer costs two products where forward cost
# one, three in all: the answer to the question of Section 1.
#
# **Step 7. The proof needs no calculus: Taylor.** $F(a \pm h) = F \pm hF' + h^2F''/2 \pm h^3F'''/6 + \dots$, so
#
# $$\frac{F(a + h) - F(a - h)}{2h} = F' + \frac{h^2}{6}F''' + \dots, \qquad \frac{F(a + h) - F(a)}{h} = F' + \frac h2
# F'' + \dots$$
#
# **Step 8. Rounding spoils small steps.** Each value carries an error of about $u|F|$, $u = 1.1 \cdot 10^{-16}$;
# divided by $h$ it is $u|F|/h$. The sum $h^2|F'''|/6 + u|F|/h$ has slope zero at
# $h|F'''|/3 = u|F|/h^2$, that is $h = (3u|F|/|F'''|)^{1/3} \approx 10^{-5}$: the error can then be no less than about
# $10^{-11}$.

# %% [markdown]
# > **The one idea.** Go through the program backwards. Every line turned some numbers into others; hand the gradient of
# > its results to its inputs by the chain rule of that one line, and *add* where a
# > number was used more than once. A gradient is a claim about the loss, and the loss itself can test it.
#
# ## 4 The same in code

# %%
show.source(reference.network, reference.network_backward, reference.activation_backward)

# %%
show.source(dense.dense_backward_weights, dense.dense_backward_bias, dense.dense_backward_input,
            activation.tanh_backward)

# %% [markdown]
# In the kernels `product` fills an array that is there already, block by block, and the whole network is one flat vector.
#
# ## 5 Proof
#
# **The V.** The derivative of $e^{a}\sin a$ at $a = 1$, by central and forward differences with steps from $1$ down to
# $10^{-14}$:

# %%
def F(a):
    return np.exp(a) * np.sin(a)

exact = np.exp(1) * (np.sin(1) + np.cos(1))
steps = np.geomspace(1e-14, 1, 120)
central = np.abs((F(1 + steps) - F(1 - steps)) / (2 * steps) - exact) + 1e-16
forward = np.abs((F(1 + steps) - F(1)) / steps - exact) + 1e-16

# %%
errors = {"central": central, "forward": forward}
show.picture(plots.curves(steps, errors, xlabel="step $h$", ylabel="error", log="xy"),
             "The error of the numerical derivative against the step on logarithmic axes: central differences "
             "fall with the square of the step to a tip near 1e-5, forward differences with the step to a tip "
             "near 1e-8, and both rise again for smaller steps, where rounding rules.", main=True)

# %%
def slope(error, low, high):
    """Exponent of h in the error between two steps."""
    inside = (steps > low) & (steps < high)
    return np.polyfit(np.log(steps[inside]), np.log(error[inside]), 1)[0]

best_central, best_forward = steps[central.argmin()], steps[forward.argmin()]
print(f"slopes {slope(central, 1e-3, 1e-1):.2f} and {slope(forward, 1e-5, 1e-1):.2f}, rounding "
      f"{slope(central, 1e-13, 1e-8):.1f}; best steps {best_central:.0e} and {best_forward:.0e}")
assert abs(slope(central, 1e-3, 1e-1) - 2) < 0.1 and abs(slope(forward, 1e-5, 1e-1) - 1) < 0.1
assert abs(slope(central, 1e-13, 1e-8) + 1) < 0.3
assert 1e-7 < best_central < 1e-3 and best_forward < best_central

# %% [markdown]
# The slopes are 2, 1 and $-1$, as Steps 7 and 8 say. Can one do better? Ridders' method takes central differences at
# several steps and extrapolates to $h = 0$; `bbbnp.gradcheck` uses it.

# %%
error = abs(ridders(F, 1.0, 0.1) - exact) / exact
print(f"Ridders: {error:.0e}")
assert error < 1e-11

# %% [markdown]
# **A whole network.** 3 inputs, 5 and 4 tanh units, 2 outputs, all widths different (equal widths hide bugs), 6
# examples:

# %%
widths, rng = (3, 5, 4, 2), np.random.default_rng(1)
P = sum((k + 1) * n for k, n in zip(widths, widths[1:]))
w, x, dy = rng.normal(size=P), rng.normal(size=(6, 3)), rng.normal(size=(6, 2))
numeric = numerical_gradient(lambda z: np.sum(dy * reference.network(z, x, widths, "tanh")[-1]), w, 0.02)
h = reference.network(w, x, widths, "tanh")
by_hand = reference.network_backward(dy, w, h, widths, "tanh")
error, entry = worst_entry(by_hand, numeric)
print(f"{P} gradients, the worst error is {error:.0e}, at {entry}")
assert error < 1e-7

# %% [markdown]
# **Would a wrong one be caught?** A checker that passes everything proves nothing, so plant an error of a thousandth:

# %%
error, entry = worst_entry(np.where(np.arange(P) == 17, 1.001, 1) * by_hand, numeric)
print(f"{error:.0e} at {entry}")
assert error > 1e-5 and entry == "x[17]"

# %% [markdown]
# And the kernel gives the same product as the page of NumPy:

# %%
dW = np.empty((3, 2))
dense.dense_backward_weights(dW, dy, x)
assert np.allclose(dW, x.T @ dy, rtol=1e-13)

# %% [markdown]
# ## 6 Play
#
# Predict first: relu has a kink at zero. If a unit's input is $10^{-4}$, for which steps is the numerical derivative
# wrong, and by how much? Then change `distance`.

# %%
distance = 1e-4

def play(distance):
    """Error of central differences of relu, at this distance from its kink."""
    numeric = (np.maximum(distance + steps, 0) - np.maximum(distance - steps, 0)) / (2 * steps)
    figure = plots.curves(steps, {"relu": np.abs(numeric - 1) + 1e-16}, xlabel="step $h$", ylabel="error",
                          log="xy", vertical=distance)
    return show.picture(figure, f"The error is rounding for steps below the distance to the kink, "
                        f"{distance:g}, and rises towards one half above it.")

show.slider(play, distance=(1e-6, 1e-2, 1e-6))
play(distance)

# %% [markdown]
# Above the distance the two points lie on both sides of the kink, and the derivative is out by almost one half:

# %%
far, near = ((np.maximum(1e-4 + h, 0) - np.maximum(1e-4 - h, 0)) / (2 * h) for h in (1e-2, 1e-5))
print(f"{far:.3f} and {near:.3f}, where 1 is right")
assert abs(far - 0.505) < 1e-12 and abs(near - 1) < 1e-9

# %% [markdown]
# A gradient check of a relu network must therefore shrink its step until every unit stays on its side;
# `bbbnp.gradcheck` does.
#
# ## 7 Exercises
#
# Solutions: [the solved notebook](solutions/05_backpropagation_by_hand.ipynb).
#
# **Warm-up (E11).** The gradient before an activation, from the gradient `dh` after it and its output `h`; `name` is
# "relu", "tanh" or "sigmoid".
#
# <details><summary>Hint</summary>Step 5. All three slopes need h alone.</details>

# %%
def activation_backward(dh, h, name):
    ### BEGIN SOLUTION
    return dh * {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[name]
    ### END SOLUTION

check.E11(activation_backward)

# %% [markdown]
# **Core (E10).** The three gradients of a dense layer.
#
# <details><summary>Hint</summary>Write the shapes beside each other: dy (B, N), x (B, K), W (K, N). Only one product of
# the right shape is left for each, if the widths differ.</details>

# %%
def dense_backward(dy, x, w):
    ### BEGIN SOLUTION
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)
    ### END SOLUTION

check.E10(dense_backward)

# %% [markdown]
# **Core (checker).** The gradient of a function `f` of a vector at `x`, by central differences with step `h`.
#
# <details><summary>Hint</summary>np.eye(x.size) has the directions as its rows. Do not change x itself.</details>

# %%
def central_difference(f, x, h):
    ### BEGIN SOLUTION
    return np.array([(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.size)])
    ### END SOLUTION

check.checker(central_difference)

# %% [markdown]
# **Stretch (find the bug).** This backward pass has one wrong line. Which? The second cell measures the error
# of every block: look at its numbers first, and read the code after.

# %%
show.source(lecture_05.broken_backward)

# %%
rng = np.random.default_rng(3)
x, w1, b1, w2, b2 = (rng.normal(size=shape) for shape in ((6, 3), (3, 5), 5, (5, 2), 2))
dy = rng.normal(size=(6, 2))
flat = np.concatenate([w1.ravel(), b1, w2.ravel(), b2])
numeric = numerical_gradient(lambda z: np.sum(dy * reference.network(z, x, (3, 5, 2), "tanh")[-1]), flat, 0.02)
broken = [g.ravel() for g in lecture_05.broken_backward(dy, w1, b1, w2, b2, x)]
for name, g, end in zip(("dw1", "db1", "dw2", "db2"), broken, np.cumsum([g.size for g in broken])):
    print(name, f"{worst_entry(g, numeric[end - g.size:end])[0]:.0e}")

# %% [markdown]
# <details><summary>Hint</summary>Both blocks of the first layer are wrong, both of the second right. What have the
# first two in common?</details>

# %%
def find_bug():
    ### BEGIN SOLUTION
    return 4  # the slope of tanh is 1 - h^2, not 1 - z^2
    ### END SOLUTION

check.bug(find_bug)

# %% [markdown]
# ## 8 What goes wrong
#
# Three exhibits of the [museum](MUSEUM.md) of bugs that were found in published code.
#
# **Exhibit 11, an unused layer.** The loop over the layers stops one early. With equal widths every shape fits, and the
# first layer keeps its random weights; the others learn around it. What
# gives it away is a gradient that is exactly zero:

# %%
def stops_early(dy, w, h, widths, name):
    dw = reference.network_backward(dy, w, h, widths, name)
    dw[:(widths[0] + 1) * widths[1]] = 0
    return dw

x, dy, w = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.normal(size=P)
h = reference.network(w, x, widths, "tanh")
silent = [np.sum(back(dy, w, h, widths, "tanh") == 0)
          for back in (reference.network_backward, stops_early)]
print("parameters without a gradient:", silent[0], "and", silent[1])
assert silent == [0, 20]

# %% [markdown]
# **Exhibit 22, x equals x.** A test that compares a value with itself, or says "not NaN", passes for every gradient:

# %%
def worthless(g):
    return bool(np.allclose(g, g) and not np.isnan(g).any())

def worthy(g):
    return worst_entry(g, numerical_gradient(
        lambda z: np.sum(dy * reference.network(z, x, widths, "tanh")[-1]), w, 0.02))[0] < 1e-7

right = reference.network_backward(dy, w, h, widths, "tanh")
wrong = stops_early(dy, w, h, widths, "tanh")
print("worthless:", worthless(right), worthless(wrong), " worthy:", worthy(right), worthy(wrong))
assert worthless(wrong) and worthy(right) and not worthy(wrong)

# %% [markdown]
# **Exhibit 12, two scalings.** Trained on inputs divided by 126, tested on raw ones. A relu network without biases is
# homogeneous: outputs scale with inputs, the largest stays the largest, and
# accuracy does not move. The likelihood does:

# %%
biasless = np.concatenate([np.append(rng.normal(size=k * n), np.zeros(n)) for k, n in zip(widths, widths[1:])])
scaled, raw = (reference.network(biasless, c * x, widths, "relu")[-1] for c in (1, 126))
label = scaled.argmin(axis=1)[:, None]  # the network is wrong, and on raw inputs surely so
shifted = [out - out.max(axis=1, keepdims=True) for out in (scaled, raw)]
log_lik = [reference.log_likelihood("categorical", out, label, np.zeros(1)) for out in shifted]
same = np.array_equal(scaled.argmax(1), raw.argmax(1))
print("same classes:", same, " log-likelihoods:", np.round(log_lik, 1))
assert same and log_lik[1] < 10 * log_lik[0]

# %% [markdown]
# ## 9 Key points
#
# * A backward pass is the forward pass read from its end, one chain rule a line.
# * Gradients in parameters are sums over the examples.
# * A numerical derivative has two errors. Central differences are best near $h = 10^{-5}$; extrapolation beats them.
# * A check must be able to fail: plant an error and see it caught. Make all widths different.
#
# **Glossary.** *Backward pass*: gradients from the last line to the first. *Central difference*: Step 7. *Block*: the
# weights or the biases of one layer. *Kink*: where a
# function has no derivative. *Ridders' method*: central differences extrapolated to step zero.
#
# **Eight questions.** 1. Why is $\mathrm{d}b$ a sum? 2. Why does tanh need no $z$? 3. What does a layer's backward pass
# cost, in products? 4. Why is $h = 10^{-12}$ a bad step? 5. What is the slope of the
# V on each side? 6. Why should widths differ? 7. What does a kink do to a check? 8. Why must a checker see a wrong
# gradient?
#
# **Further reading.** Rumelhart, Hinton and Williams (1986), *Learning representations by back-propagating errors*.
# Ridders (1982), *Accurate computation of F'(x) and F'(x)F''(x)*. In this package:
# [`dense.py`](../bbbnp/kernels/dense.py), [`activation.py`](../bbbnp/kernels/activation.py),
# [`gradcheck.py`](../bbbnp/gradcheck.py).
