"""The closed lists of fastnn. Each name is written here and nowhere else: Python's names, the
tests' parameters and the docs' tables are read from these enums (see CONTRIBUTING.md)."""

cpdef enum Kind:
    DENSE
    DROPOUT
    ADD

cpdef enum Activation:
    LINEAR
    STEP
    SIGMOID
    TANH
    RELU
    LEAKY_RELU
    ELU
    SELU
    SOFTPLUS
    SOFTSIGN
    SILU
    GELU
    MISH
    HARD_SIGMOID
    EXP
    SOFTMAX

cpdef enum Loss:
    SQUARED_ERROR
    ABSOLUTE_ERROR
    HUBER
    LOG_COSH
    QUANTILE
    POISSON
    GAUSSIAN_NLL
    BINARY_CROSS_ENTROPY
    CROSS_ENTROPY
    HINGE
    PERCEPTRON

cpdef enum Optimizer:
    SGD
    ADAGRAD
    RMSPROP
    ADAM
    ADAMW

# What a stream of random numbers is for: part of its key, so that no two uses share numbers.
cpdef enum Purpose:
    WEIGHTS
    SHUFFLE
    DROPOUT_MASK
