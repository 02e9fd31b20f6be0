"""Losses: one function each that returns the loss of a row and writes its gradient.

Decisions
  a. Value and gradient come from one function, so they share their exponential and cannot
     disagree. A loss gives one row; the engine alone divides by the batch's weights, and hands
     that factor in as `scale`.
  b. Where `HEADS` in fastnn/losses.py says "raw", z is the output before the last activation:
     softmax with cross-entropy and sigmoid with log loss are then one stable expression.
  c. Values are summed in double, in the order of the outputs.
Each takes outputs z (n), targets t and the loss's parameter p, and writes scale * d loss / d z.
"""

from libc.math cimport log

from fastnn_ext.activations cimport sigmoid, softplus
from fastnn_ext.codes cimport Activation, Loss
from fastnn_ext.real cimport abs_, exp_, larger, log1p_, log_, real, sign, tanh_


cdef inline double squared_error(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef real e
    cdef Py_ssize_t i
    for i in range(n):
        e = z[i] - t[i]
        value += e * e
        dz[i] = 2 * e * scale / n
    return value / n


cdef inline double absolute_error(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef real e
    cdef Py_ssize_t i
    for i in range(n):
        e = z[i] - t[i]
        value += abs_(e)
        dz[i] = sign(e) * scale / n
    return value / n


cdef inline double huber(
    const real* z, const real* t, Py_ssize_t n, real delta, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef real e, size
    cdef Py_ssize_t i
    for i in range(n):
        e = z[i] - t[i]
        size = abs_(e)
        value += delta * (size - delta / 2) if size > delta else e * e / 2
        dz[i] = (sign(e) * delta if size > delta else e) * scale / n
    return value / n


cdef inline double log_cosh(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    """log cosh e = |e| + log(1 + exp(-2 |e|)) - log 2, which cannot overflow."""
    cdef double value = 0
    cdef real e
    cdef Py_ssize_t i
    for i in range(n):
        e = z[i] - t[i]
        value += abs_(e) + log1p_(exp_(-2 * abs_(e))) - <real> 0.6931471805599453
        dz[i] = tanh_(e) * scale / n
    return value / n


cdef inline double quantile(
    const real* z, const real* t, Py_ssize_t n, real q, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef real e
    cdef Py_ssize_t i
    for i in range(n):
        e = t[i] - z[i]
        value += (q if e > 0 else q - 1) * e
        dz[i] = -(q if e > 0 else (q - 1) * <real> (e < 0)) * scale / n
    return value / n


cdef inline double poisson(
    const real* z, const real* t, Py_ssize_t n, Py_ssize_t link, real scale, real* dz
) noexcept nogil:
    """rate - t * log(rate), with the rate exp(z) or softplus(z).

    Below -80 softplus is exp to the last place; its logarithm then goes on as z, where the rate
    itself would underflow."""
    cdef double value = 0
    cdef real rate, within
    cdef Py_ssize_t i
    for i in range(n):
        if link == Activation.SOFTPLUS:
            within = larger(z[i], -80)
            rate = softplus(within)
            value += rate - t[i] * (log_(rate) + (z[i] - within))
            dz[i] = (1 - t[i] / rate) * sigmoid(within) * scale / n
        else:
            rate = exp_(z[i])
            value += rate - t[i] * z[i]
            dz[i] = (rate - t[i]) * scale / n
    return value / n


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
        value += (z[m + i] + e * e * precision) / 2
        dz[i] = e * precision * scale / m
        dz[m + i] = (1 - e * e * precision) * scale / (2 * m)
    return value / m


cdef inline double binary_cross_entropy(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef Py_ssize_t i
    for i in range(n):
        value += larger(z[i], 0) - z[i] * t[i] + log1p_(exp_(-abs_(z[i])))
        dz[i] = (sigmoid(z[i]) - t[i]) * scale / n
    return value / n


cdef inline double cross_entropy(
    const real* z, const real* t, Py_ssize_t n, bint labels, real smoothing, real scale, real* dz
) noexcept nogil:
    """T * log(sum(exp z)) - sum(t * z) for targets t of sum T: one label, or a row of shares."""
    cdef real top = z[0]
    cdef real total = 0
    cdef real target_total = 1
    cdef real target
    cdef double value = 0
    cdef Py_ssize_t i
    for i in range(1, n):
        top = z[i] if z[i] > top else top
    for i in range(n):
        dz[i] = exp_(z[i] - top)
    for i in range(n):
        total += dz[i]
    if not labels:
        target_total = 0
        for i in range(n):
            target_total += t[i]
        target_total = (1 - smoothing) * target_total + smoothing
    for i in range(n):
        target = <real> (i == <Py_ssize_t> t[0]) if labels else t[i]
        target = (1 - smoothing) * target + smoothing / n
        value -= target * (z[i] - top)
        dz[i] = (target_total * dz[i] / total - target) * scale
    return value + target_total * log(<double> total)


cdef inline double hinge(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    cdef double value = 0
    cdef real side
    cdef Py_ssize_t i
    for i in range(n):
        side = <real> 1 if t[i] > 0 else <real> -1
        value += larger(1 - side * z[i], 0)
        dz[i] = -side * <real> (side * z[i] < 1) * scale / n
    return value / n


cdef inline double perceptron(
    const real* z, const real* t, Py_ssize_t n, real scale, real* dz
) noexcept nogil:
    """A row on the border counts as wrong, so that a network of zeros can begin to learn."""
    cdef double value = 0
    cdef real side
    cdef Py_ssize_t i
    for i in range(n):
        side = <real> 1 if t[i] > 0 else <real> -1
        value += larger(-side * z[i], 0)
        dz[i] = -side * <real> (side * z[i] <= 0) * scale / n
    return value / n


cdef inline double row_loss(
    Py_ssize_t code, Py_ssize_t link, real p, const real* z, Py_ssize_t n,
    const real* t, Py_ssize_t n_targets, real scale, real* dz
) noexcept nogil:
    """The loss of one row; writes scale times its gradient."""
    if code == Loss.SQUARED_ERROR:
        return squared_error(z, t, n, scale, dz)
    elif code == Loss.ABSOLUTE_ERROR:
        return absolute_error(z, t, n, scale, dz)
    elif code == Loss.HUBER:
        return huber(z, t, n, p, scale, dz)
    elif code == Loss.LOG_COSH:
        return log_cosh(z, t, n, scale, dz)
    elif code == Loss.QUANTILE:
        return quantile(z, t, n, p, scale, dz)
    elif code == Loss.POISSON:
        return poisson(z, t, n, link, scale, dz)
    elif code == Loss.GAUSSIAN_NLL:
        return gaussian_nll(z, t, n, scale, dz)
    elif code == Loss.BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(z, t, n, scale, dz)
    elif code == Loss.CROSS_ENTROPY:
        return cross_entropy(z, t, n, n_targets == 1, p, scale, dz)
    elif code == Loss.HINGE:
        return hinge(z, t, n, scale, dz)
    elif code == Loss.PERCEPTRON:
        return perceptron(z, t, n, scale, dz)
