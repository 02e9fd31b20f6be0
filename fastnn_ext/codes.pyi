"""The enums of codes.pxd, and the structs of plan.pxd as NumPy dtypes."""

from enum import IntEnum
from typing import Any

import numpy as np

class Kind(IntEnum):
    DENSE = 0
    DROPOUT = 1
    ADD = 2
    SCALE = 3

class Activation(IntEnum):
    LINEAR = 0
    STEP = 1
    SIGMOID = 2
    TANH = 3
    RELU = 4
    LEAKY_RELU = 5
    ELU = 6
    SELU = 7
    SOFTPLUS = 8
    SOFTSIGN = 9
    SILU = 10
    GELU = 11
    MISH = 12
    HARD_SIGMOID = 13
    EXP = 14
    SOFTMAX = 15

class Loss(IntEnum):
    SQUARED_ERROR = 0
    ABSOLUTE_ERROR = 1
    HUBER = 2
    LOG_COSH = 3
    QUANTILE = 4
    POISSON = 5
    GAUSSIAN_NLL = 6
    BINARY_CROSS_ENTROPY = 7
    CROSS_ENTROPY = 8
    HINGE = 9
    PERCEPTRON = 10

class Optimizer(IntEnum):
    SGD = 0
    ADAGRAD = 1
    RMSPROP = 2
    ADAM = 3
    ADAMW = 4

class Purpose(IntEnum):
    WEIGHTS = 0
    SHUFFLE = 1
    DROPOUT_MASK = 2

class Derivative(IntEnum):
    FORWARD = 0
    REVERSE = 1
    HESSIAN = 2
    PARAMETERS = 3

LAYER: np.dtype[Any]
BUFFER: np.dtype[Any]
SETTINGS: np.dtype[Any]
