"""Bayes by Backprop in plain NumPy, float64, with no cleverness (Blundell et al. 2015).

Read it from top to bottom: it is the derivation; training is `free_energy_gradient` and `update` in turn. Every twin in
``bbbnp.kernels``, named in the ledger, is fast and stays finite where this file overflows (rho = 800) or loses digits
(rho = -40). `x_backward` stands below its `x` and returns gradients of the loss, `d` + name that in name. eps is noise.

w, mu, rho, eps and their gradients are vectors of P entries; x (B, D) inputs, y (B, T) targets, `prior` a list of
(pi, sigma), `widths` the layer widths D, ..., O, `name` the hidden activation, `likelihood` and `form` of the gradient
by their names; kl_weight is lambda_i times the temperature, log_noise the log of each target's noise.
"""

import numpy as np


# ---- a weight is a distribution ----

def softplus(rho):
    """sigma = log(1 + exp(rho)) (E3)"""
    return np.log1p(np.exp(rho))


def logistic(rho):
    """d sigma/d rho = s(rho) = 1/(1 + exp(-rho)) (E3)"""
    return 1 / (1 + np.exp(-rho))


def reparameterize(mu, rho, eps):
    """w = mu + sigma eps (E4)"""
    return mu + softplus(rho) * eps


def reparameterize_backward(dw, rho, eps):
    """dmu = dw, drho = dw eps s(rho) (E4)"""
    return dw, dw * eps * logistic(rho)


def log_posterior(rho, eps):
    """log q(w | mu, rho) = sum_j -log sigma_j - eps_j^2/2 - log(2 pi)/2 (E5)"""
    return np.sum(-np.log(softplus(rho)) - eps**2 / 2 - np.log(2 * np.pi) / 2)


def log_posterior_backward(rho, eps):
    """Partial derivatives of log q in w, mu and rho: -eps/sigma, eps/sigma, (eps^2 - 1) s(rho)/sigma (E5)"""
    sigma = softplus(rho)
    return -eps / sigma, eps / sigma, (eps**2 - 1) * logistic(rho) / sigma


def signal_to_noise(mu, rho):
    """|mu|/sigma, of which the smallest are pruned: w = 0 for good, in neither log q nor log P(w) (E19)"""
    return np.abs(mu) / softplus(rho)


# ---- the prior ----

def gaussian_density(w, sigma):
    """N(w; 0, sigma^2) (E6)"""
    return np.exp(-w**2 / (2 * sigma**2)) / (np.sqrt(2 * np.pi) * sigma)


def log_prior(w, prior):
    """log P(w) = sum_j log sum_k pi_k N(w_j; 0, sigma_k^2) (E7; E6 for one component)"""
    return np.sum(np.log(sum(pi * gaussian_density(w, sigma) for pi, sigma in prior)))


def mixture_score(w, prior):
    """d log P(w)/dw = sum_k r_k (-w/sigma_k^2), r_k = pi_k N(w; 0, sigma_k^2)/P(w) (E7; E6 for one component)"""
    parts = [pi * gaussian_density(w, sigma) for pi, sigma in prior]
    return sum(part / sum(parts) * -w / sigma**2 for part, (_, sigma) in zip(parts, prior))


def kl_to_gaussian(mu, rho, prior_sigma):
    """KL(q || N(0, prior_sigma^2)) = sum_j log(prior_sigma/sigma) + (sigma^2 + mu^2)/(2 prior_sigma^2) - 1/2 (E14)"""
    sigma = softplus(rho)
    return np.sum(np.log(prior_sigma / sigma) + (sigma**2 + mu**2) / (2 * prior_sigma**2) - 0.5)


def kl_to_gaussian_backward(mu, rho, prior_sigma):
    """dmu = mu/prior_sigma^2, drho = (sigma/prior_sigma^2 - 1/sigma) s(rho) (E14)"""
    sigma = softplus(rho)
    return mu / prior_sigma**2, (sigma / prior_sigma**2 - 1 / sigma) * logistic(rho)


# ---- the network and its likelihood ----

def activation(x, name):
    """h = f(x): relu, tanh or the logistic function (E11)"""
    return {"relu": lambda: x * (x.real > 0), "tanh": lambda: np.tanh(x), "sigmoid": lambda: logistic(x)}[name]()


def activation_backward(dh, h, name):
    """dx = dh f'(x), with f' in terms of h: [h > 0], 1 - h^2, h (1 - h) (E11)"""
    return dh * {"relu": h > 0, "tanh": 1 - h**2, "sigmoid": h * (1 - h)}[name]


def layers(w, widths):
    """W (K, N) and b (N,) of each layer, cut from the flat vector"""
    for k, n in zip(widths, widths[1:]):
        yield w[:k * n].reshape(k, n), w[k * n:k * n + n]
        w = w[k * n + n:]


def kept(u, drop):
    """z = 0 where the uniform u is below the chance `drop` of being left out, and 1/(1 - drop) elsewhere (E25)"""
    return (u >= drop) / (1 - drop)


def network(w, x, widths, name, z=None):
    """All layer outputs h_0 = x, h_l = f((z h_{l-1}) W_l + b_l), the last without f (E10; E25 for z of each layer)"""
    h, z = [x], [1] * len(widths) if z is None else z
    for depth, (weight, bias) in enumerate(layers(w, widths)):
        y = (z[depth] * h[-1]) @ weight + bias
        h.append(activation(y, name) if depth < len(widths) - 2 else y)
    return h


def network_backward(dy, w, h, widths, name, z=None):
    """dW = (z h)^T dy, db = sum_n dy_n, dh = z (dy W^T), from the last layer on, as one flat dw (E10; E25 for z)"""
    dw, z = [], [1] * len(widths) if z is None else z
    for depth, (weight, _) in reversed(list(enumerate(layers(w, widths)))):
        dw.insert(0, np.concatenate([((z[depth] * h[depth]).T @ dy).ravel(), dy.sum(axis=0)]))
        dy = activation_backward(z[depth] * (dy @ weight.T), h[depth], name)
    return np.concatenate(dw)


def log_likelihood(likelihood, out, y, log_noise):
    """log P(y | out), summed: Gaussian, Gaussian with noise from the network (E8), softmax, Bernoulli (E9)"""
    if likelihood == "categorical":
        return np.sum(np.take_along_axis(out, y.astype(int), 1)[:, 0] - np.log(np.exp(out).sum(axis=1)))
    if likelihood == "bernoulli":
        return np.sum(y * out - softplus(out))
    if likelihood == "gaussian_input":
        out, log_noise = np.split(out, 2, axis=1)
    return np.sum(-log_noise - ((y - out) / np.exp(log_noise))**2 / 2 - np.log(2 * np.pi) / 2)


def log_likelihood_backward(likelihood, out, y, log_noise):
    """Gradient of -log P(y | out) in out, and in log_noise (E8, E9)"""
    if likelihood == "categorical":
        return np.exp(out) / np.exp(out).sum(axis=1, keepdims=True) - (y == np.arange(out.shape[1])), 0 * log_noise
    if likelihood == "bernoulli":
        return logistic(out) - y, 0 * log_noise
    mean, log_noise = np.split(out, 2, axis=1) if likelihood == "gaussian_input" else (out, log_noise)
    z = (y - mean) / np.exp(log_noise)
    if likelihood == "gaussian_input":
        return np.hstack([-z / np.exp(log_noise), 1 - z**2]), 0
    return -z / np.exp(log_noise), np.sum(1 - z**2, axis=0)


# ---- the free energy and its gradient ----

def minibatch_weight(kind, i, minibatches, size, examples):
    """lambda_i, i = 0 .. M-1, summing to one: |D_i|/N, or 2^(M-i-1)/(2^M - 1) = 2^-(i+1)/(1 - 2^-M) (E15)"""
    return size / examples if kind == "uniform" else 0.5**(i + 1) / (1 - 0.5**minibatches)


def free_energy(mu, rho, log_noise, x, y, eps, widths, name, prior, likelihood, kl_weight):
    """F = kl_weight [log q(w) - log P(w)] - log P(D | w), averaged over the draws eps (S, P) (E2)"""
    draws = zip(eps, reparameterize(mu, rho, eps))
    return np.mean([kl_weight * (log_posterior(rho, e) - log_prior(w, prior))
                    - log_likelihood(likelihood, network(w, x, widths, name)[-1], y, log_noise) for e, w in draws])


def short_gradient(g, rho, eps, kl_weight):
    """dmu = g, drho = eps g s(rho) - kl_weight s(rho)/sigma, g = dF/dw without log q (E13)"""
    return g, (eps * g - kl_weight / softplus(rho)) * logistic(rho)


def paper_gradient(g, rho, eps, kl_weight):
    """dmu = df/dw + df/dmu, drho = df/dw eps/(1 + exp(-rho)) + df/drho (E12; the paper's equations 3 and 4)"""
    q_w, q_mu, q_rho = log_posterior_backward(rho, eps)
    df_dw = g + kl_weight * q_w
    return df_dw + kl_weight * q_mu, df_dw * eps / (1 + np.exp(-rho)) + kl_weight * q_rho


def free_energy_gradient(mu, rho, log_noise, x, y, eps, widths, name, prior, likelihood, kl_weight,
                         form=short_gradient):
    """dmu, drho, dlog_noise of `free_energy` (E2, E12, E13)"""
    total = np.zeros_like(mu), np.zeros_like(rho), np.zeros_like(log_noise)
    for e, w in zip(eps, reparameterize(mu, rho, eps)):
        h = network(w, x, widths, name)
        dout, dlog_noise = log_likelihood_backward(likelihood, h[-1], y, log_noise)
        g = network_backward(dout, w, h, widths, name) - kl_weight * mixture_score(w, prior)
        total = [a + b / len(eps) for a, b in zip(total, (*form(g, rho, e, kl_weight), dlog_noise))]
    return total


# ---- other ways of putting the noise in, with the same mean and less of it in the gradient ----

def path_gradient(g, rho, eps, kl_weight):
    """dmu = g - kl_weight eps/sigma, drho = eps (g - kl_weight eps/sigma) s(rho): log q's own score left out (E24)"""
    return reparameterize_backward(g - kl_weight * eps / softplus(rho), rho, eps)


def antithetic(eps):
    """eps_1, -eps_1, eps_2, -eps_2, ... from draws in the first axis (E23)"""
    return np.stack([eps, -eps], axis=1).reshape(-1, *eps.shape[1:])


def spread(rho, eps, local):
    """S' of the second product v = h' S' + S'_b: sigma^2 (E16), or Delta = sigma eps (E22)"""
    return softplus(rho)**2 if local else softplus(rho) * eps


def spread_backward(ds, rho, eps, local):
    """drho = dS' 2 sigma s(rho) (E16), or dS' eps s(rho) (E22)"""
    return ds * (2 * softplus(rho) if local else eps) * logistic(rho)


def placed_network(mu, s_all, x, units, widths, name):
    """Outputs and, for each layer, h, h', dh'/dh and dy/dv; `units` has a pair (None, zeta) or (s, t) for each layer

    y = h Mu + mu_b + sqrt(v) zeta, v = h^2 S + S_b (E16), or y = h Mu + mu_b + t v, v = (s h) Delta + Delta_b (E22)
    """
    h, tape = x, []
    for (weight, bias), (s_weight, s_bias), (s, z) in zip(layers(mu, widths), layers(s_all, widths), units):
        h2 = h**2 if s is None else s * h
        v = h2 @ s_weight + s_bias
        y = h @ weight + bias + (np.sqrt(v) * z if s is None else z * v)
        tape.append((h, h2, 2 * h if s is None else s, z / (2 * np.sqrt(v)) if s is None else z))
        h = activation(y, name)
    return y, tape


def placed_network_backward(dy, mu, s_all, tape, widths, name):
    """dMu = h^T dy, dS' = h'^T dv, dh = dy Mu^T + dv S'^T dh'/dh, with dv = dy dy/dv, as flat vectors (E16, E22)"""
    dmu, ds = [], []
    for (weight, _), (s_weight, _), (h, h2, dh2, slope) in reversed(
            list(zip(layers(mu, widths), layers(s_all, widths), tape))):
        dv = dy * slope
        dmu.insert(0, np.concatenate([(h.T @ dy).ravel(), dy.sum(axis=0)]))
        ds.insert(0, np.concatenate([(h2.T @ dv).ravel(), dv.sum(axis=0)]))
        dy = activation_backward(dy @ weight.T + dv @ s_weight.T * dh2, h, name)
    return np.concatenate(dmu), np.concatenate(ds)


def placed_free_energy(mu, rho, log_noise, x, y, eps, units, widths, name, prior, likelihood, kl_weight):
    """`free_energy` with noise in the units, `units` for each draw; the KL is that of w = mu + sigma eps (E16, E22)"""
    outs = [placed_network(mu, spread(rho, e, z[0][0] is None), x, z, widths, name)[0] for e, z in zip(eps, units)]
    return np.mean([kl_weight * (log_posterior(rho, e) - log_prior(reparameterize(mu, rho, e), prior))
                    - log_likelihood(likelihood, out, y, log_noise) for e, out in zip(eps, outs)])


def placed_free_energy_gradient(mu, rho, log_noise, x, y, eps, units, widths, name, prior, likelihood, kl_weight,
                                form=short_gradient):
    """dmu, drho, dlog_noise of `placed_free_energy`: the KL's part and the likelihood's (E16, E22)"""
    total = np.zeros_like(mu), np.zeros_like(rho), np.zeros_like(log_noise)
    for e, z in zip(eps, units):
        local = z[0][0] is None
        out, tape = placed_network(mu, spread(rho, e, local), x, z, widths, name)
        dout, dlog_noise = log_likelihood_backward(likelihood, out, y, log_noise)
        dmu, ds = placed_network_backward(dout, mu, spread(rho, e, local), tape, widths, name)
        a, b = form(-kl_weight * mixture_score(reparameterize(mu, rho, e), prior), rho, e, kl_weight)
        total = [t + d / len(eps) for t, d in zip(total, (a + dmu, b + spread_backward(ds, rho, e, local), dlog_noise))]
    return total


# ---- learning and predicting ----

def scheduled_rate(learning_rate, schedule, t, horizon):
    """Constant, cosine down to 1 %, or 1/t (E17)"""
    cosine = 0.01 + 0.99 * (1 + np.cos(np.pi * min(t / horizon, 1))) / 2
    return learning_rate * {"constant": 1, "cosine": cosine, "inverse_time": 1 / (1 + t / horizon)}[schedule]


def update(x, dx, m, v, rule, rate, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """x, m, v after step t = 0, 1, ... of SGD, momentum or Adam (E17)"""
    if rule == "sgd":
        return x - rate * dx, m, v
    if rule == "momentum":
        return x - rate * (beta1 * m + dx), beta1 * m + dx, v
    m, v = beta1 * m + (1 - beta1) * dx, beta2 * v + (1 - beta2) * dx**2
    m_hat, v_hat = m / (1 - beta1**(t + 1)), v / (1 - beta2**(t + 1))
    return x - rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v


def bayes_rule(log_joint):
    """Posterior on a grid, P(w | D) = P(D | w) P(w)/P(D), and the evidence P(D) = sum_w P(D | w) P(w) (E1)"""
    joint = np.exp(log_joint)
    return joint / joint.sum(), joint.sum()


def log_predictive(log_lik):
    """log P(y | x, D) = log 1/S sum_s P(y | x, w_s), from log-likelihoods (S, N) (E1)"""
    return np.log(np.mean(np.exp(log_lik), axis=0))


def predictive_moments(f, variance):
    """E[y] = E[f], aleatoric E[noise^2], epistemic Var[f], over the draws in the first axis (E18)"""
    return f.mean(axis=0), variance.mean(axis=0), f.var(axis=0)


def entropy_split(p):
    """E[p], aleatoric E[H[p]], epistemic H[E[p]] - E[H[p]], p (S, N, C) (E18)"""
    mean, inner = p.mean(axis=0), np.mean(np.sum(-p * np.log(p), axis=2), axis=0)
    return mean, inner, np.sum(-mean * np.log(mean), axis=1) - inner


def thompson_action(f):
    """a = argmax_a (1/S) sum_s f(x, a; w_s), the rewards f (S, A) that S draws of the weights expect (E20)"""
    return f.mean(axis=0).argmax()
