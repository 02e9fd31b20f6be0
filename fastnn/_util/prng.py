"""A counter-based random number generator: draw i of a stream is a function of its key and of i.

The generator has no state to save or share. Initial weights, shuffles and dropout masks are
identical for any number of threads, in both engines (`fastnn_ext/random.pxd` has the compiled
version), and after a model was loaded from a file. A draw evaluates the SplitMix64 generator at an
index: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
figure 16. A key is computed by the same mixing function, from the seed, the purpose and indices.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_ext.codes import Purpose

__all__ = [
    "Purpose", "draw_bits", "draw_dropout_mask", "draw_normal", "draw_permutation", "draw_uniform",
    "make_key", "new_seed",
]  # fmt: skip

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MASK = 2**64 - 1

# Values are drawn in chunks of this size, so that intermediate arrays stay in the cache and need
# little memory.
CHUNK_SIZE = 2**14


def new_seed() -> int:
    """A random seed from the operating system."""
    return secrets.randbits(63)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FACTORS[0])
    z = (z ^ (z >> np.uint64(27))) * np.uint64(FACTORS[1])
    return z ^ (z >> np.uint64(31))


def _mix_scalar(z: int) -> int:
    """`_mix` of a Python integer, 20 times faster than NumPy with an array of one element."""
    z &= MASK
    z = (z ^ z >> 30) * FACTORS[0] & MASK
    z = (z ^ z >> 27) * FACTORS[1] & MASK
    return z ^ z >> 31


def make_key(seed: int, purpose: Purpose, *indices: int) -> NDArray[np.uint64]:
    """The key of a stream, shape (1,). Each combination of seed, purpose and indices (of a layer,
    an epoch, a step) has a stream of its own."""
    golden = int(GOLDEN)
    mixed = _mix_scalar(int(np.uint64(seed)) + golden)  # so that seed 1 differs from purpose 1
    for part in (int(purpose), *indices):
        mixed = _mix_scalar(mixed + part + golden)
    return np.array([mixed], dtype=np.uint64)


def draw_bits(key: NDArray[np.uint64], n: int, start: int = 0) -> NDArray[np.uint64]:
    """Draws `start` to `start + n` of a stream, shape (n,): 64 random bits each."""
    index = np.arange(start + 1, start + n + 1, dtype=np.uint64)
    return _mix(key + index * GOLDEN)


def _draw_in_chunks(
    shape: tuple[int, ...], draw: Callable[[int, int], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """An array whose elements start to start + n, in C order, are `draw(n, start)`."""
    size = math.prod(shape)
    if size <= CHUNK_SIZE:
        return draw(size, 0).reshape(shape)
    values = np.empty(size)
    for start in range(0, len(values), CHUNK_SIZE):
        chunk = values[start : start + CHUNK_SIZE]
        chunk[:] = draw(len(chunk), start)
    return values.reshape(shape)


def _draw_uniform(key: NDArray[np.uint64], n: int, start: int) -> NDArray[np.float64]:
    bits = np.right_shift(draw_bits(key, n, start), np.uint64(11))
    values: NDArray[np.float64] = bits * 2.0**-53
    return values


def draw_uniform(key: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform values in [0, 1) with 53 random bits."""
    return _draw_in_chunks(shape, lambda n, start: _draw_uniform(key, n, start))


def draw_normal(key: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal values, by the method of G. Box and M. Muller (1958): one from two uniform
    draws."""
    size = math.prod(shape)

    def draw(n: int, start: int) -> NDArray[np.float64]:
        radius: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-_draw_uniform(key, n, start)))
        return radius * np.cos(2 * np.pi * _draw_uniform(key, n, size + start))

    return _draw_in_chunks(shape, draw)


def draw_permutation(key: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    """A random permutation of 0..n-1, by the shuffle of R. Fisher and F. Yates (1938) in the form
    of R. Durstenfeld (1964). An index below i + 1 is computed from 64 bits by the multiplication of
    D. Lemire (2019), with a bias below n / 2**64."""
    positions = range(n - 1, 0, -1)
    permutation: list[Any] = list(range(n))
    for i, bits in zip(positions, draw_bits(key, len(positions)).tolist(), strict=True):
        j = bits * (i + 1) >> 64
        permutation[i], permutation[j] = permutation[j], permutation[i]
    return np.array(permutation, dtype=np.int64)


def draw_dropout_mask(
    key: NDArray[np.uint64], first: int, n: int, rate: float
) -> NDArray[np.bool_]:
    """Which of the units first..first+n-1 dropout keeps, shape (n,): each with probability
    1 - rate."""
    high_half = np.right_shift(draw_bits(key, n, first), np.uint64(32))
    return high_half >= np.uint64(rate * 2.0**32)
