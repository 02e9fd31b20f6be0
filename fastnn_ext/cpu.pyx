"""The instruction sets of this CPU, and how the modules were built. Compiled for any x86-64, so
that importing it is always safe."""

cdef extern from *:
    """
    #if defined(__x86_64__) && defined(__GNUC__)
    static int fn_cpu_level(void) {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl")) return 4;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
            __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2")) return 3;
        if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("ssse3") &&
            __builtin_cpu_supports("popcnt")) return 2;
        return 1;
    }
    #else
    static int fn_cpu_level(void) { return 0; }
    #endif
    """
    int fn_cpu_level() nogil
    const char* FASTNN_BUILD


def level() -> int:
    """The x86-64 level (1 to 4) that processor and operating system support; 0 elsewhere."""
    return fn_cpu_level()


def build() -> str:
    """How setup.py built the compiled modules: "optimized" or "debug" (bounds checks), followed by
    the names of sanitizers, separated by commas."""
    return FASTNN_BUILD.decode()
