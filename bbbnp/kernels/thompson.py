"""Contextual bandits inside compiled code: a context, an action, its reward, and training on what is remembered (E20).

The network takes a context and an action, and gives the expected reward. Everything random is a function of the seed
and the number t of the interaction, so two agents of one seed meet the same contexts and the same luck.
"""

from typing import NamedTuple

import numpy as np

from bbbnp.kernels import noise
from bbbnp.kernels._jit import kernel
from bbbnp.kernels.dense import Network, network_forward
from bbbnp.kernels.elbo import UNIFORM, Objective, Workspace, copy, minibatch_weight
from bbbnp.kernels.fused import State
from bbbnp.kernels.hotloop import UPDATE, Cursor, Data, Plan, train_serial
from bbbnp.kernels.noise import below, chance_word, words
from bbbnp.kernels.optimizer import Optimizer
from bbbnp.kernels.posterior import sample_weights
from bbbnp.kernels.tiles import unpack


class World(NamedTuple):
    """Contexts, shape (N, D), each as likely; `rewards`, (N, A, 2): two rewards of every action, each as likely."""

    contexts: np.ndarray
    rewards: np.ndarray


class Memory(NamedTuple):
    """The last C inputs, shape (C, D + A), and their rewards, (C, 1); interaction t is in row t mod C."""

    x: np.ndarray
    y: np.ndarray


class Learner(NamedTuple):
    """What a training step takes, and the vector a fresh network starts from before every interaction, or empty."""

    state: State
    network: Network
    prior: tuple
    objective: Objective
    optimizer: Optimizer
    data: Data
    plan: Plan
    ws: Workspace
    seed: int
    initial: np.ndarray


class Line(NamedTuple):
    """Conjugate regression of each action's rewards: the factor R of Lambda = R^T R, shape (A, D, D), and b = Lambda m,
    (A, D), of the posterior N(m, Lambda^-1); the noise of the rewards."""

    factor: np.ndarray
    moment: np.ndarray
    noise: float


class Policy(NamedTuple):
    """Whether the lines choose and learn, not the network; the chance of an action by chance; weight draws that are
    averaged (0: the mean network), and minibatches of training after every interaction."""

    by_line: bool
    epsilon: float
    draws: int
    minibatches: int


@kernel
def fill_inputs(x, context):
    """Rows of `x`, shape (A, D + A): the context beside each action, one-hot."""
    x[:] = 0
    for action in range(x.shape[0]):
        copy(x[action, :context.size], context)
        x[action, context.size + action] = 1


@kernel
def action_values(values, x, learner, draws, step):
    """Fill `values`, shape (A,), with the reward that draws of the weights expect of each action's input (E20).

    v_a = (1/S) sum_s f(x, a; w_s),  w_s = mu + sigma eps_s;  or, with no draws, f(x, a; mu)
    """
    parameters, ws = unpack(learner.state.theta, learner.ws.w.size), learner.ws
    values[:] = 0
    for s in range(max(draws, 1)):
        if draws > 0:
            noise.normals(ws.eps, learner.seed, noise.THOMPSON, step, s)
            sample_weights(ws.w, parameters.mu, parameters.rho, ws.eps, ws.eps[:0])
        else:
            copy(ws.w, parameters.mu)
        out = network_forward(ws.outputs, learner.network, ws.w, x, 0, values.size)
        for a in range(values.size):
            values[a] += out[a, 0] / max(draws, 1)  # E20


@kernel
def line_draw(w, factor, moment, z):
    """Fill `w`, shape (D,), with a draw of the exact posterior N(m, Lambda^-1) (E20).

    w = R^-1 (R^-T b + z), where Lambda = R^T R and Lambda m = b; z standard normal, and overwritten
    """
    copy(w, moment)
    for k in range(w.size):  # R^T v = b, by the rows of R
        w[k] /= factor[k, k]
        for j in range(k + 1, w.size):
            w[j] -= factor[k, j] * w[k]
    for k in range(w.size - 1, -1, -1):  # R w = v + z
        total = w[k] + z[k]
        for j in range(k + 1, w.size):
            total -= factor[k, j] * w[j]
        w[k] = total / factor[k, k]


@kernel
def line_update(factor, moment, x, y):
    """One more observation in units of the noise, in place (E20).

    Lambda <- Lambda + x x^T, by turning the row x and each row of R until the first entry of x is gone;  b <- b + x y
    """
    rest = x.copy()
    for k in range(x.size):
        moment[k] += x[k] * y
        if rest[k] != 0:
            length = np.hypot(factor[k, k], rest[k])
            c, s = factor[k, k] / length, rest[k] / length
            for j in range(k, x.size):
                factor[k, j], rest[j] = c * factor[k, j] + s * rest[j], c * rest[j] - s * factor[k, j]


@kernel
def line_values(values, context, line, seed, step):
    """Fill `values` with the reward that a draw of the exact posterior expects of each action (E20).

    v_a = w_a^T x
    """
    z, w = np.empty(context.size), np.empty(context.size)
    for a in range(values.size):
        noise.normals(z, seed, noise.THOMPSON, step, a)
        line_draw(w, line.factor[a], line.moment[a], z)
        values[a] = 0
        for j in range(w.size):
            values[a] += w[j] * context[j]


@kernel
def choose(values, epsilon, seed, step):
    """The action of the largest value, the first of equals; or, by the chance epsilon, any (E20).

    a = argmax_a v_a
    """
    word, other = words(0, seed, noise.EXPLORING, step, 0)[:2]
    if word < chance_word(epsilon):
        return below(other, values.size)
    return np.int64(np.argmax(values))  # E20


@kernel
def replay(batch, memory, remembered, seed, step):
    """Fill a minibatch with what is remembered, drawn with replacement."""
    for j in range(0, batch.x.shape[0], 4):
        four = words(j // 4, seed, noise.REPLAYED, step, 0)
        for k in range(min(4, batch.x.shape[0] - j)):
            i = below(four[k], remembered)
            copy(batch.x[j + k], memory.x[i])
            copy(batch.y[j + k], memory.y[i])


@kernel
def learn(t, learner, memory, minibatches):
    """Training steps after interaction t, on minibatches of B of the n that are remembered (E2, E15).

    F = (B/n) T [log q - log P(w)] - log P(D_i | w): a minibatch stands for B of n, so it carries that part of the KL

    Returns False where a free energy is not finite, before the update, or a parameter after the last.
    """
    remembered, rows = min(t + 1, memory.y.shape[0]), learner.data.x.shape[0]
    given, history, fresh, state = learner.plan, np.zeros((1, 2)), learner.initial.size > 0, learner.state
    kl_weight = given.temperature * minibatch_weight(UNIFORM, 0, 1, rows, remembered)  # E15
    plan = Plan(rows, UNIFORM, kl_weight, given.learn_noise, 0, UPDATE)
    if fresh:
        copy(state.theta, learner.initial)
        state.first[:] = 0
        state.second[:] = 0
    for k in range(minibatches):
        step = t * minibatches + k
        replay(learner.data, memory, remembered, learner.seed, step)
        cursor = Cursor(learner.seed + (t + 1 << 32), k, 0, 0) if fresh else Cursor(learner.seed, step, 0, 0)
        if train_serial(np.int64(1), history, state, learner.network, learner.prior, learner.objective,
                        learner.optimizer, learner.data, plan, cursor, learner.ws)[0] == 0:  # a literal compiles anew
            return False
    for j in range(state.theta.size):
        if not np.isfinite(state.theta[j]):
            return False
    return True


@kernel
def remember(memory, t, x, reward):
    """Interaction t in the place of the oldest."""
    row = t % memory.y.shape[0]
    copy(memory.x[row], x)
    memory.y[row] = reward


@kernel
def best_reward(rewards):
    """The largest expected reward of any action; `rewards` (A, 2)."""
    best = rewards[0].mean()
    for a in range(1, rewards.shape[0]):
        best = max(best, rewards[a].mean())
    return best


@kernel
def play(start, steps, world, policy, learner, line, memory, regret):
    """Interactions start .. start + steps - 1 (E20).

    Parameters
    ----------
    start, steps : int
    world, policy, learner, line, memory
        The NamedTuples of this module; all but the first two are changed.
    regret : ndarray, shape (2, T)
        Row 0 is filled with what the best action would be expected to bring, less the reward that came (realised);
        row 1 with the same, less the reward that the action is expected to bring.

    Returns
    -------
    int
        Interactions played.
    bool
        Whether the training after the last of them was sound (see `learn`); if not, it was the last.
    """
    actions, seed = world.rewards.shape[1], learner.seed
    values, x = np.zeros(actions), np.zeros((actions, memory.x.shape[1]), memory.x.dtype)
    row = np.empty(world.contexts.shape[1])
    for t in range(start, start + steps):
        i = below(words(0, seed, noise.CONTEXTS, t, 0)[0], world.contexts.shape[0])
        fill_inputs(x, world.contexts[i])
        if policy.by_line:
            line_values(values, world.contexts[i], line, seed, t)
        else:
            action_values(values, x, learner, policy.draws, t)
        action = choose(values, policy.epsilon, seed, t)
        rewards = world.rewards[i]
        reward = rewards[action, below(words(0, seed, noise.REWARDS, t, 0)[0], 2)]
        regret[0, t] = best_reward(rewards) - reward
        regret[1, t] = best_reward(rewards) - rewards[action].mean()
        remember(memory, t, x[action], reward)
        if policy.by_line:
            copy(row, world.contexts[i])
            line_update(line.factor[action], line.moment[action], row / line.noise, reward / line.noise)
        elif not learn(t, learner, memory, policy.minibatches):
            return t - start + 1, False
    return steps, True
