"""Threading primitives of threads.h: a barrier, an atomic flag, a clock, and whether threads can be
started."""

cdef extern from "threads.h" nogil:
    ctypedef struct fn_barrier:
        int arrived
        unsigned phase
    int FN_OPENMP
    void fn_barrier_wait(fn_barrier* barrier, int team_size)
    double fn_seconds()
    int fn_team_size()
    int fn_swap(int* flag, int value)
    int fn_max_threads()
    int fn_is_child
    int fn_register_fork_handler()
    int fn_can_start_team(int n)
