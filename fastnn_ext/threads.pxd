"""What threads.h gives: a barrier, a flag, a clock, and whether a team of threads can be had."""

cdef extern from "threads.h" nogil:
    ctypedef struct fn_barrier:
        int arrived
        unsigned phase
    int FN_OPENMP
    void fn_wait(fn_barrier* barrier, int team)
    double fn_seconds()
    int fn_team_size()
    int fn_swap(int* flag, int value)
    int fn_max_threads()
    int fn_is_child
    int fn_watch_forks()
    int fn_can_have_team(int n)
