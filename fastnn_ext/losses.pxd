"""Losses: each value with its derivative next to it, and the loops that apply them.

Decisions
  a. Most losses are a function of one output and its target. Like activations, they are scalar
     formulas, and the compiler vectorizes the loop over the outputs of several rows. Value and
     derivative are computed in the same loop, so they share the exponential. Only cross_entropy and
     gaussian_nll need all outputs of a row; they return its loss and write its gradient.
  b. For pairs that `HEADS` in fastnn/losses.py marks "raw", z is the output before the last
     activation: softmax with cross-entropy, and sigmoid with log loss, are then one stable
     expression.
  c. Losses know no weights: objective.pxd applies sample weights and divides by their sum. Values
     are summed in double, in the order of the outputs.

Symbols: outputs z, targets t, error e = z - t, the loss's parameter p. Derivatives are with respect
to z.
"""

from libc.math cimport NAN, log

from fastnn_ext.activations cimport sigmoid, softplus
from fastnn_ext.codes cimport Activation, Loss
from fastnn_ext.real cimport abs_, exp_, larger, log1p_, log_, real, sign, tanh_


cdef inline real huber(real e, real delta) noexcept nogil:
    return delta * (abs_(e) - delta / <real> 2) if abs_(e) > delta else e * e / <real> 2


cdef inline real huber_derivative(real e, real delta) noexcept nogil:
    return sign(e) * delta if abs_(e) > delta else e


cdef inline real log_cosh(real e) noexcept nogil:
    """|e| + log(1 + exp(-2 |e|)) - log 2, which cannot overflow; the derivative is tanh(e)."""
    return abs_(e) + log1p_(exp_(<real> -2 * abs_(e))) - <real> 0.6931471805599453


# Of e = output - target, where Koenker and Bassett have target - output.
cdef inline real quantile(real e, real q) noexcept nogil:
    return (<real> 1 - q) * e if e > 0 else -q * e


cdef inline real quantile_derivative(real e, real q) noexcept nogil:
    return <real> 1 - q if e > 0 else (-q if e < 0 else <real> 0)


# With the rate exp(z).
cdef inline real poisson(real z, real t) noexcept nogil:
    return exp_(z) - t * z


cdef inline real poisson_derivative(real z, real t) noexcept nogil:
    return exp_(z) - t


# With the rate softplus(z). Below -80 it equals exp(z) to the last digit; its logarithm is then
# computed as z, because the rate itself would underflow.
cdef inline real poisson_softplus(real z, real t) noexcept nogil:
    cdef real within = larger(z, -80)
    cdef real rate = softplus(within)
    return rate - t * (log_(rate) + (z - within))


cdef inline real poisson_softplus_derivative(real z, real t) noexcept nogil:
    cdef real within = larger(z, -80)
    return (<real> 1 - t / softplus(within)) * sigmoid(within)


# (1 - t) * softplus(z) + t * softplus(-z), and (1 - t) * sigmoid(z) - t * sigmoid(-z): the terms
# do not cancel, and one exponential e = exp(-|z|) serves both.
cdef inline real binary_cross_entropy(real z, real t, real e) noexcept nogil:
    return (<real> 1 - t) * larger(z, 0) + t * larger(-z, 0) + log1p_(e)


cdef inline real binary_cross_entropy_derivative(real z, real t, real e) noexcept nogil:
    cdef real likely = <real> 1 / (<real> 1 + e)
    cdef real unlikely = e * likely
    return (
        (<real> 1 - t) * (likely if z > 0 else unlikely) - t * (unlikely if z > 0 else likely))


cdef inline real side(real t) noexcept nogil:
    return <real> 1 if t > 0 else <real> -1


cdef inline real hinge(real z, real t) noexcept nogil:
    return larger(<real> 1 - side(t) * z, 0)


cdef inline real hinge_derivative(real z, real t) noexcept nogil:
    return -side(t) if side(t) * z < 1 else <real> 0


# z = 0 counts as an error, so that a network whose weights are zero can start to learn.
cdef inline real perceptron(real z, real t) noexcept nogil:
    return larger(-side(t) * z, 0)


cdef inline real perceptron_derivative(real z, real t) noexcept nogil:
    return -side(t) if side(t) * z <= 0 else <real> 0


cdef inline void compute_elementwise_loss(
    Py_ssize_t code, Py_ssize_t output_activation, real p, const real* z, const real* t,
    Py_ssize_t n, real* value, real* derivative
) noexcept nogil:
    """An element-wise loss: reads outputs z (n,) and targets t (n,); writes value (n,) and
    derivative (n,)."""
    cdef Py_ssize_t i
    cdef real e
    if code == Loss.SQUARED_ERROR:
        for i in range(n):
            value[i] = (z[i] - t[i]) * (z[i] - t[i])
            derivative[i] = <real> 2 * (z[i] - t[i])
    elif code == Loss.ABSOLUTE_ERROR:
        for i in range(n):
            value[i] = abs_(z[i] - t[i])
            derivative[i] = sign(z[i] - t[i])
    elif code == Loss.HUBER:
        for i in range(n):
            value[i] = huber(z[i] - t[i], p)
            derivative[i] = huber_derivative(z[i] - t[i], p)
    elif code == Loss.LOG_COSH:
        for i in range(n):
            value[i] = log_cosh(z[i] - t[i])
            derivative[i] = tanh_(z[i] - t[i])
    elif code == Loss.QUANTILE:
        for i in range(n):
            value[i] = quantile(z[i] - t[i], p)
            derivative[i] = quantile_derivative(z[i] - t[i], p)
    elif code == Loss.POISSON and output_activation == Activation.SOFTPLUS:
        for i in range(n):
            value[i] = poisson_softplus(z[i], t[i])
            derivative[i] = poisson_softplus_derivative(z[i], t[i])
    elif code == Loss.POISSON:
        for i in range(n):
            value[i] = poisson(z[i], t[i])
            derivative[i] = poisson_derivative(z[i], t[i])
    elif code == Loss.BINARY_CROSS_ENTROPY:
        for i in range(n):
            e = exp_(-abs_(z[i]))
            value[i] = binary_cross_entropy(z[i], t[i], e)
            derivative[i] = binary_cross_entropy_derivative(z[i], t[i], e)
    elif code == Loss.HINGE:
        for i in range(n):
            value[i] = hinge(z[i], t[i])
            derivative[i] = hinge_derivative(z[i], t[i])
    elif code == Loss.PERCEPTRON:
        for i in range(n):
            value[i] = perceptron(z[i], t[i])
            derivative[i] = perceptron_derivative(z[i], t[i])


cdef inline double gaussian_nll(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    """The loss of one row with outputs z (n,), the means and then the log variances, and targets
    t (n / 2,). Returns the mean over the targets; writes scale times its gradient to dz (n,)."""
    cdef Py_ssize_t m = n // 2
    cdef double value = 0
    cdef real e, precision
    cdef Py_ssize_t i
    for i in range(m):
        e = z[i] - t[i]
        precision = exp_(-z[m + i])
        value += (z[m + i] + e * e * precision) / <real> 2
        dz[i] = e * precision * scale / m
        dz[m + i] = (<real> 1 - e * e * precision) * scale / (2 * m)
    return value / m


cdef inline double cross_entropy(
    const real* z, const real* t, Py_ssize_t n, bint labels, real smoothing, real scale, real* dz
) noexcept nogil:
    """The loss of one row, T * log(sum(exp z)) - sum(t * z), where T is the sum of the targets t.

    Reads outputs z (n,) and t: one label if `labels`, otherwise n probabilities. Label smoothing s
    turns t into (1 - s) t + s / n. Returns the loss; writes scale times its gradient, T p - t with
    the probabilities p, to dz (n,). A label outside 0..n-1 gives NaN: labels are checked before a
    fit, but the caller's memory may change while it runs.

    Value and gradient stay accurate when one class, the pivot, has nearly all of the probability:
    with other_exps, the sum of the exponentials of all other classes, the pivot's T p - t is
    computed as (T - t) - T other_exps / total.
    """
    cdef real top = z[0]
    cdef real other_exps = 0
    cdef real target_sum = 1
    cdef real target_scale = <real> 1 - smoothing
    cdef real uniform_target = smoothing / n
    cdef real pivot_exp, prob_scale, target
    cdef double total
    cdef double value = 0
    cdef Py_ssize_t i
    cdef Py_ssize_t pivot = 0      # the label, or the class with the largest z
    target = t[0]
    if labels and not (0 <= target < n):
        return NAN
    for i in range(1, n):
        top = z[i] if z[i] > top else top
    for i in range(n):
        dz[i] = exp_(z[i] - top)
    if labels:
        pivot = <Py_ssize_t> target
    else:
        target_sum = 0
        for i in range(n):
            target_sum += t[i]
            pivot = i if z[i] == top else pivot
        target_sum = target_scale * target_sum + smoothing
    pivot_exp = dz[pivot]
    dz[pivot] = 0
    for i in range(n):
        other_exps += dz[i]
    total = <double> pivot_exp + <double> other_exps
    prob_scale = target_sum / <real> total
    for i in range(n):
        dz[i] = (prob_scale * dz[i] - uniform_target) * scale
    if labels:
        target = target_scale + uniform_target
        value = -target_scale * (z[pivot] - top)
    else:
        target = target_scale * t[pivot] + uniform_target
        for i in range(n):
            dz[i] -= target_scale * t[i] * scale
            value -= target_scale * t[i] * (z[i] - top)
    dz[pivot] = (target_sum - target - prob_scale * other_exps) * scale
    if uniform_target > 0:
        for i in range(n):
            value -= uniform_target * (z[i] - top)
    # The last term restores what rounding removed from `total`. If `total` rounds to 1, log(total)
    # is zero and this term is the whole loss.
    return value + target_sum * log(total) + prob_scale * (other_exps - (total - pivot_exp))


cdef inline bint needs_full_rows(Py_ssize_t code) noexcept nogil:
    """Whether a loss needs all outputs of a row (decision a)."""
    return code == Loss.CROSS_ENTROPY or code == Loss.GAUSSIAN_NLL


cdef inline double compute_row_loss(
    Py_ssize_t code, real p, const real* z, Py_ssize_t n, const real* t, Py_ssize_t n_targets,
    real scale, real* dz
) noexcept nogil:
    """The loss of one row with outputs z (n,) and targets t (n_targets,), for the losses of
    `needs_full_rows`; writes scale times its gradient to dz (n,)."""
    if code == Loss.CROSS_ENTROPY:
        return cross_entropy(z, t, n, n_targets == 1, p, scale, dz)
    return gaussian_nll(z, t, n, scale, dz)
