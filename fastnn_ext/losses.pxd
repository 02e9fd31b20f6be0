"""Losses: value and slope of each side by side, and the loops that apply them.

Decisions
  a. Most losses are a function of one output and its target. They are written like activations, as
     scalar formulas whose loop over all outputs of some rows becomes vectors; value and slope stand
     in one loop, so they share their exponential. Only cross_entropy and gaussian_nll need a row
     whole; they return its value and write its gradient.
  b. Where `HEADS` in fastnn/losses.py says "raw", z is the output before the last activation:
     softmax with cross-entropy and sigmoid with log loss are then one stable expression.
  c. The engine alone weights rows and divides by the batch's weights; values are summed in double,
     in the order of the outputs.
Each takes outputs z, targets t and the loss's parameter p.
"""

from libc.math cimport NAN, log

from fastnn_ext.activations cimport sigmoid, softplus
from fastnn_ext.codes cimport Activation, Loss
from fastnn_ext.real cimport abs_, exp_, larger, log1p_, log_, real, sign, tanh_


cdef inline real huber(real e, real delta) noexcept nogil:
    return delta * (abs_(e) - delta / <real> 2) if abs_(e) > delta else e * e / <real> 2


cdef inline real huber_slope(real e, real delta) noexcept nogil:
    return sign(e) * delta if abs_(e) > delta else e


cdef inline real log_cosh(real e) noexcept nogil:
    """|e| + log(1 + exp(-2 |e|)) - log 2, which cannot overflow; its slope is tanh."""
    return abs_(e) + log1p_(exp_(<real> -2 * abs_(e))) - <real> 0.6931471805599453


# Of e = output - target, where Koenker and Bassett have target - output.
cdef inline real quantile(real e, real q) noexcept nogil:
    return (<real> 1 - q) * e if e > 0 else -q * e


cdef inline real quantile_slope(real e, real q) noexcept nogil:
    return <real> 1 - q if e > 0 else (-q if e < 0 else <real> 0)


# With the rate exp(z).
cdef inline real poisson(real z, real t) noexcept nogil:
    return exp_(z) - t * z


cdef inline real poisson_slope(real z, real t) noexcept nogil:
    return exp_(z) - t


# With the rate softplus(z). Below -80 that is exp(z) to the last place; its logarithm then goes on
# as z, where the rate itself would underflow.
cdef inline real poisson_softplus(real z, real t) noexcept nogil:
    cdef real within = larger(z, -80)
    cdef real rate = softplus(within)
    return rate - t * (log_(rate) + (z - within))


cdef inline real poisson_softplus_slope(real z, real t) noexcept nogil:
    cdef real within = larger(z, -80)
    return (<real> 1 - t / softplus(within)) * sigmoid(within)


# (1 - t) * softplus(z) + t * softplus(-z), and (1 - t) * sigmoid(z) - t * sigmoid(-z): sums of what
# is far from cancelling, with one exponential e = exp(-|z|) for both.
cdef inline real binary_cross_entropy(real z, real t, real e) noexcept nogil:
    return (<real> 1 - t) * larger(z, 0) + t * larger(-z, 0) + log1p_(e)


cdef inline real binary_cross_entropy_slope(real z, real t, real e) noexcept nogil:
    cdef real likely = <real> 1 / (<real> 1 + e)
    cdef real unlikely = e * likely
    return (
        (<real> 1 - t) * (likely if z > 0 else unlikely) - t * (unlikely if z > 0 else likely))


cdef inline real side(real t) noexcept nogil:
    return <real> 1 if t > 0 else <real> -1


cdef inline real hinge(real z, real t) noexcept nogil:
    return larger(<real> 1 - side(t) * z, 0)


cdef inline real hinge_slope(real z, real t) noexcept nogil:
    return -side(t) if side(t) * z < 1 else <real> 0


# A row on the border counts as wrong, so that a network of zeros can begin to learn.
cdef inline real perceptron(real z, real t) noexcept nogil:
    return larger(-side(t) * z, 0)


cdef inline real perceptron_slope(real z, real t) noexcept nogil:
    return -side(t) if side(t) * z <= 0 else <real> 0


cdef inline void elementwise(
    Py_ssize_t code, Py_ssize_t link, real p, const real* z, const real* t, Py_ssize_t n,
    real* value, real* slope
) noexcept nogil:
    """Value and slope of n outputs with n targets."""
    cdef Py_ssize_t i
    cdef real e
    if code == Loss.SQUARED_ERROR:
        for i in range(n):
            value[i] = (z[i] - t[i]) * (z[i] - t[i])
            slope[i] = <real> 2 * (z[i] - t[i])
    elif code == Loss.ABSOLUTE_ERROR:
        for i in range(n):
            value[i] = abs_(z[i] - t[i])
            slope[i] = sign(z[i] - t[i])
    elif code == Loss.HUBER:
        for i in range(n):
            value[i] = huber(z[i] - t[i], p)
            slope[i] = huber_slope(z[i] - t[i], p)
    elif code == Loss.LOG_COSH:
        for i in range(n):
            value[i] = log_cosh(z[i] - t[i])
            slope[i] = tanh_(z[i] - t[i])
    elif code == Loss.QUANTILE:
        for i in range(n):
            value[i] = quantile(z[i] - t[i], p)
            slope[i] = quantile_slope(z[i] - t[i], p)
    elif code == Loss.POISSON and link == Activation.SOFTPLUS:
        for i in range(n):
            value[i] = poisson_softplus(z[i], t[i])
            slope[i] = poisson_softplus_slope(z[i], t[i])
    elif code == Loss.POISSON:
        for i in range(n):
            value[i] = poisson(z[i], t[i])
            slope[i] = poisson_slope(z[i], t[i])
    elif code == Loss.BINARY_CROSS_ENTROPY:
        for i in range(n):
            e = exp_(-abs_(z[i]))
            value[i] = binary_cross_entropy(z[i], t[i], e)
            slope[i] = binary_cross_entropy_slope(z[i], t[i], e)
    elif code == Loss.HINGE:
        for i in range(n):
            value[i] = hinge(z[i], t[i])
            slope[i] = hinge_slope(z[i], t[i])
    elif code == Loss.PERCEPTRON:
        for i in range(n):
            value[i] = perceptron(z[i], t[i])
            slope[i] = perceptron_slope(z[i], t[i])


cdef inline double gaussian_nll(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    """n outputs for n / 2 targets: the means, then the log variances."""
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
    """T * log(sum(exp z)) - sum(t * z) for targets t of sum T: one label, or a row of shares. With
    smoothing s, t becomes (1 - s) t + s / n. A label that is none of 0..n-1 gives NaN: labels are
    checked before a fit, but the user's memory can change while it runs.

    Both keep their digits where one class has nearly all of the probability p: `rest` is the sum of
    the exponentials of all classes but that one, whose T p - t is then (T - t) - T rest / total."""
    cdef real top = z[0]
    cdef real rest = 0
    cdef real target_total = 1
    cdef real kept = <real> 1 - smoothing
    cdef real added = smoothing / n
    cdef real own, share, target
    cdef double total
    cdef double value = 0
    cdef Py_ssize_t i
    cdef Py_ssize_t held = 0       # the label, or the class with the largest z
    target = t[0]
    if labels and not (0 <= target < n):
        return NAN
    for i in range(1, n):
        top = z[i] if z[i] > top else top
    for i in range(n):
        dz[i] = exp_(z[i] - top)
    if labels:
        held = <Py_ssize_t> target
    else:
        target_total = 0
        for i in range(n):
            target_total += t[i]
            held = i if z[i] == top else held
        target_total = kept * target_total + smoothing
    own = dz[held]
    dz[held] = 0
    for i in range(n):
        rest += dz[i]
    total = <double> own + <double> rest
    share = target_total / <real> total
    for i in range(n):
        dz[i] = (share * dz[i] - added) * scale
    if labels:
        target = kept + added
        value = -kept * (z[held] - top)
    else:
        target = kept * t[held] + added
        for i in range(n):
            dz[i] -= kept * t[i] * scale
            value -= kept * t[i] * (z[i] - top)
    dz[held] = (target_total - target - share * rest) * scale
    if added > 0:
        for i in range(n):
            value -= added * (z[i] - top)
    # The last term is what rounding took from the total: all there is where that rounds to 1.
    return value + target_total * log(total) + share * (rest - (total - own))


cdef inline bint takes_rows(Py_ssize_t code) noexcept nogil:
    """Whether a loss needs a row whole."""
    return code == Loss.CROSS_ENTROPY or code == Loss.GAUSSIAN_NLL


cdef inline double row_loss(
    Py_ssize_t code, real p, const real* z, Py_ssize_t n, const real* t, Py_ssize_t n_targets,
    real scale, real* dz
) noexcept nogil:
    """The loss of one row; writes scale times its gradient."""
    if code == Loss.CROSS_ENTROPY:
        return cross_entropy(z, t, n, n_targets == 1, p, scale, dz)
    return gaussian_nll(z, t, n, scale, dz)
