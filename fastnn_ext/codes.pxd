"""The enums of fastnn: the single list of layer kinds, activations, losses and optimizers. Python
names, test parameters and tables of the documentation are read from them (see CONTRIBUTING.md)."""

cpdef enum Kind:
    DENSE
    DROPOUT
    ADD
    SCALE

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

# The purpose of a random stream. It is part of the key, so different uses have independent streams.
cpdef enum Purpose:
    WEIGHTS
    SHUFFLE
    DROPOUT_MASK

# What derivatives.pxd computes for each row.
cpdef enum Derivative:
    FORWARD      # of the outputs in given directions of the inputs
    REVERSE      # of given combinations of the outputs by the inputs
    HESSIAN      # second derivatives of one output by the inputs
    PARAMETERS   # of given combinations of the outputs by the parameters
