"""What threads.h gives: a barrier, a flag and a clock."""

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
