/* What threads need of each other: a barrier, a flag and a clock.
 *
 * a. The barrier is our own: `#pragma omp barrier` makes a system call on every arrival, 0.24 us
 *    against 0.03 us here, and a training step has two.
 * b. Waiting begins as a spin, because the others are microseconds away, and ends in a yield and a
 *    sleep, because the machine may be shared and the others may not be running at all.
 */
#ifndef FASTNN_THREADS_H
#define FASTNN_THREADS_H

#include <sched.h>
#include <time.h>

#define FN_SPINS 4000  /* about 50 us */
#define FN_YIELDS 200

typedef struct {
    int arrived;
    char apart[124];  /* two cache lines: the next line is fetched along with the first */
    unsigned phase;
} fn_barrier;

static inline void fn_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static inline void fn_wait(fn_barrier *barrier, int team) {
    if (team == 1) return;
    unsigned phase = __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == team) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (long tries = 0; __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE) == phase; tries++) {
        if (tries < FN_SPINS) fn_pause();
        else if (tries < FN_SPINS + FN_YIELDS) sched_yield();
        else nanosleep(&(struct timespec){0, 50000}, 0);
    }
}

/* Puts a value in place and returns what was there. */
static inline int fn_swap(int *flag, int value) {
    return __atomic_exchange_n(flag, value, __ATOMIC_ACQ_REL);
}

static inline double fn_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

#ifdef _OPENMP
#define FN_OPENMP 1
#include <omp.h>
static inline int fn_team_size(void) { return omp_get_num_threads(); }
static inline int fn_max_threads(void) { return omp_get_max_threads(); }
#else
#define FN_OPENMP 0
static inline int fn_team_size(void) { return 1; }
static inline int fn_max_threads(void) { return 1; }
#endif

#endif
