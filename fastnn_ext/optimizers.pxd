"""Optimizers: the update of a run of parameters, in place.

Decisions
  a. Each is a loop over the flat run [0, n) of one thread's share: no optimizer knows a layer.
     Slot k of parameter i is slots[k * n_params + i].
  b. Adam's bias corrections are folded into the rate and epsilon, which leaves one square root
     and one division per parameter: rate' = rate * sqrt(1 - beta_2**t) / (1 - beta_1**t),
     epsilon' = epsilon * sqrt(1 - beta_2**t); the same numbers, reordered.
  c. Fused products are written as `fma_` (simd.h, decision c): where a share begins depends on
     the number of threads, and no number may.
"""

from libc.math cimport pow, sqrt

from fastnn_ext.codes cimport Optimizer
from fastnn_ext.plan cimport Settings
from fastnn_ext.real cimport fma_, real, sqrt_


cdef inline void sgd(real* w, const real* g, Py_ssize_t n, real rate) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        w[i] = fma_(-rate, g[i], w[i])


cdef inline void momentum(
    real* w, const real* g, real* v, Py_ssize_t n, real rate, real mu
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        v[i] = fma_(mu, v[i], -(rate * g[i]))
        w[i] += v[i]


cdef inline void nesterov(
    real* w, const real* g, real* v, Py_ssize_t n, real rate, real mu
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        v[i] = fma_(mu, v[i], -(rate * g[i]))
        w[i] += fma_(mu, v[i], -(rate * g[i]))


cdef inline void adagrad(
    real* w, const real* g, real* s, Py_ssize_t n, real rate, real epsilon
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        s[i] = fma_(g[i], g[i], s[i])
        w[i] -= rate * g[i] / (sqrt_(s[i]) + epsilon)


cdef inline void rmsprop(
    real* w, const real* g, real* s, Py_ssize_t n, real rate, real rho, real epsilon
) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        s[i] = fma_(rho, s[i], (<real> 1 - rho) * g[i] * g[i])
        w[i] -= rate * g[i] / (sqrt_(s[i]) + epsilon)


cdef inline void adam(
    real* w, const real* g, real* m, real* v, Py_ssize_t n,
    real rate, real shrink, real beta_1, real beta_2, real epsilon
) noexcept nogil:
    """`shrink` is AdamW's decay of this step, 1 - rate * weight_decay; 1 for Adam."""
    cdef Py_ssize_t i
    for i in range(n):
        m[i] = fma_(beta_1, m[i], (<real> 1 - beta_1) * g[i])
        v[i] = fma_(beta_2, v[i], (<real> 1 - beta_2) * g[i] * g[i])
        w[i] = fma_(shrink, w[i], -(rate * m[i] / (sqrt_(v[i]) + epsilon)))


# What a step's number and rate make of the hyperparameters: once a step, as powers take as long as
# the update of some fifty parameters.
cdef struct Pace:
    double rate
    double shrink                  # AdamW's decay of weights
    double epsilon


cdef inline Pace pace_of(const Settings* s, double rate, double t) noexcept nogil:
    """For step number t, from 1."""
    cdef Pace pace
    cdef double root
    pace.rate = rate
    pace.shrink = 1 - rate * s.weight_decay
    pace.epsilon = s.epsilon
    if s.optimizer == Optimizer.ADAM or s.optimizer == Optimizer.ADAMW:
        root = sqrt(1 - pow(s.beta_2, t))
        pace.rate = rate * root / (1 - pow(s.beta_1, t))
        pace.epsilon = s.epsilon * root
    return pace


cdef inline void update(
    const Settings* s, const Pace* pace, real* w, const real* g, real* slots, Py_ssize_t n,
    bint decays
) noexcept nogil:
    """A run of n parameters; `slots` points at their first slot."""
    cdef real rate = <real> pace.rate
    cdef real epsilon = <real> pace.epsilon
    if s.optimizer == Optimizer.SGD:
        if s.momentum == 0:
            sgd(w, g, n, rate)
        elif s.nesterov:
            nesterov(w, g, slots, n, rate, <real> s.momentum)
        else:
            momentum(w, g, slots, n, rate, <real> s.momentum)
    elif s.optimizer == Optimizer.ADAGRAD:
        adagrad(w, g, slots, n, rate, epsilon)
    elif s.optimizer == Optimizer.RMSPROP:
        rmsprop(w, g, slots, n, rate, <real> s.rho, epsilon)
    elif s.optimizer == Optimizer.ADAM or s.optimizer == Optimizer.ADAMW:
        adam(w, g, slots, slots + s.n_params, n, rate, <real> (pace.shrink if decays else 1),
             <real> s.beta_1, <real> s.beta_2, epsilon)
