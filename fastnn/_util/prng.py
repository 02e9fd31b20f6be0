"""Counter-based random numbers: draw i of a stream is a function of the stream's key and of i.

There is no state to save or share: initial weights, shuffles and dropout masks are the same for
every number of threads, for the native engine (`fastnn_ext/random.pxd`, the compiled twin) and for
the reference, and after a file was loaded. A draw is the SplitMix64 generator evaluated at an
index: G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014, figure 16. A key is the same mixing, folded over what the stream is for.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_ext.codes import Purpose

__all__ = ["Purpose", "draws", "kept", "key", "new_seed", "normal", "permutation", "uniform"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
BITS = 2**64 - 1

# Numbers drawn at a time: the steps on the way to them then stay in the cache, and take no memory
# to speak of.
PIECE = 2**14


def new_seed() -> int:
    """A seed from the operating system, for those who name none."""
    return secrets.randbits(63)


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FACTORS[0])
    z = (z ^ (z >> np.uint64(27))) * np.uint64(FACTORS[1])
    return z ^ (z >> np.uint64(31))


def _mix_one(z: int) -> int:
    """The same of one number, in a twentieth of the time that NumPy takes for an array of one."""
    z &= BITS
    z = (z ^ z >> 30) * FACTORS[0] & BITS
    z = (z ^ z >> 27) * FACTORS[1] & BITS
    return z ^ z >> 31


def key(seed: int, purpose: Purpose, *indices: int) -> NDArray[np.uint64]:
    """The key of one stream, as an array of one element."""
    golden = int(GOLDEN)
    mixed = _mix_one(int(np.uint64(seed)) + golden)  # so that seed 1 is not purpose 1
    for part in (int(purpose), *indices):
        mixed = _mix_one(mixed + part + golden)
    return np.array([mixed], dtype=np.uint64)


def draws(key: NDArray[np.uint64], n: int, start: int = 0) -> NDArray[np.uint64]:
    """Draws `start` to `start + n` of a stream: 64 random bits each."""
    index = np.arange(start + 1, start + n + 1, dtype=np.uint64)
    return _mix(key + index * GOLDEN)


def _in_pieces(
    shape: tuple[int, ...], draw: Callable[[int, int], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """An array whose numbers start to start + n are `draw(n, start)`."""
    size = math.prod(shape)
    if size <= PIECE:
        return draw(size, 0).reshape(shape)
    numbers = np.empty(size)
    for start in range(0, len(numbers), PIECE):
        piece = numbers[start : start + PIECE]
        piece[:] = draw(len(piece), start)
    return numbers.reshape(shape)


def _uniform(key: NDArray[np.uint64], n: int, start: int) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = np.right_shift(draws(key, n, start), np.uint64(11)) * 2.0**-53
    return numbers


def uniform(key: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers in [0, 1) with 53 random bits."""
    return _in_pieces(shape, lambda n, start: _uniform(key, n, start))


def normal(key: NDArray[np.uint64], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Standard normal numbers, by G. Box and M. Muller (1958): one from two uniform draws."""
    size = math.prod(shape)

    def draw(n: int, start: int) -> NDArray[np.float64]:
        radius: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-_uniform(key, n, start)))
        return radius * np.cos(2 * np.pi * _uniform(key, n, size + start))

    return _in_pieces(shape, draw)


def permutation(key: NDArray[np.uint64], n: int) -> NDArray[np.int64]:
    """A random order of 0..n-1: the shuffle of R. Fisher and F. Yates (1938), as R. Durstenfeld
    (1964) states it. A draw becomes a number below i + 1 as D. Lemire (2019) does it, without a
    division, and with a bias below n / 2**64."""
    last = range(n - 1, 0, -1)
    order: list[Any] = list(range(n))
    for i, bits in zip(last, draws(key, len(last)).tolist(), strict=True):
        j = bits * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def kept(key: NDArray[np.uint64], first: int, n: int, rate: float) -> NDArray[np.bool_]:
    """Which of n units from number `first` on dropout keeps: each with probability 1 - rate."""
    high_half = np.right_shift(draws(key, n, first), np.uint64(32))
    return high_half >= np.uint64(rate * 2.0**32)
