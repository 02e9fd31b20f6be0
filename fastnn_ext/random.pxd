"""Counter-based random numbers. A draw is a function of a key and an index; there is no state.
`fastnn/_util/prng.py` is the same generator in NumPy and describes the method and its source."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define FN_GOLDEN 0x9E3779B97F4A7C15ULL
    static inline unsigned long long fn_mix(unsigned long long z) {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    static inline unsigned long long fn_below(unsigned long long n, unsigned long long bits) {
        return (unsigned __int128)bits * n >> 64;
    }
    """
    uint64_t FN_GOLDEN
    uint64_t fn_mix(uint64_t z) nogil
    uint64_t fn_below(uint64_t n, uint64_t bits) nogil


cdef inline uint64_t extend_key(uint64_t key, uint64_t index) noexcept nogil:
    """A new key from a key and an index."""
    return fn_mix(key + index + FN_GOLDEN)


cdef inline uint64_t make_key(uint64_t seed, uint64_t purpose, uint64_t index) noexcept nogil:
    """The key of the random stream of this seed, codes.Purpose and index."""
    return extend_key(extend_key(extend_key(seed, 0), purpose), index)


cdef inline uint64_t draw(uint64_t key, uint64_t i) noexcept nogil:
    """64 random bits: element i of the stream with this key."""
    return fn_mix(key + (i + 1) * FN_GOLDEN)


cdef inline void shuffle(
    Py_ssize_t* permutation, const Py_ssize_t* rows, Py_ssize_t n, uint64_t key
) noexcept nogil:
    """Write a random permutation of rows (n,), or of 0..n-1 if rows is NULL, to permutation (n,):
    the shuffle of Fisher and Yates."""
    cdef Py_ssize_t i, j, k
    for i in range(n):
        permutation[i] = i if rows == NULL else rows[i]
    for k in range(n - 1):
        i = n - 1 - k
        j = <Py_ssize_t> fn_below(<uint64_t> (i + 1), draw(key, k))
        permutation[i], permutation[j] = permutation[j], permutation[i]
