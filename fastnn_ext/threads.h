/* Threading primitives: a barrier, an atomic flag, a clock, and whether threads can be started.
 *
 * Decisions
 *   a. The barrier is our own: `#pragma omp barrier` makes a system call on every arrival, 0.24
 *      us against 0.03 us here, and a training step has two barriers.
 *   b. A wait begins with a short spin, because the other threads are microseconds away, and
 *      continues with yields. If another program holds a processor, two threads of the team may
 *      have to share one, and a long spin would keep the other thread from arriving. Sleeping
 *      early is worse: a thread that wakes must wait again, yields, and loses its processor once
 *      more. Only a wait that is much longer ends in sleep. Next to one busy program, two threads
 *      took 9 us a step at 5-16-1 (one thread 0.9) and 55 to 61 us at 24-80-40-2 (one thread 24).
 *      With a spin of 50 us before 60 us of yields it was 10 and 198 us; with sleeps of 50 us
 *      after those, hundreds of times the time of one thread at 5-16-1. On an idle machine none
 *      of these variants differs.
 *   c. libgomp ends the process if it cannot start a thread (a limit on processes or memory).
 *      Before a team grows, the missing threads are therefore started once as a trial. libgomp
 *      keeps the threads of its last team for the thread that called it.
 *   d. Threads do not survive a fork, and libgomp would wait for them for ever. pthread_atfork
 *      also sees forks by C code, which Python's hook does not.
 */
#ifndef FASTNN_THREADS_H
#define FASTNN_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define FN_SPINS 100          /* about 1 us */
#define FN_YIELD_SECONDS 0.02 /* several time slices of another program */

typedef struct {
    int arrived;
    char padding[124];  /* two cache lines: the CPU prefetches the adjacent line */
    unsigned phase;
} fn_barrier;

static inline void fn_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Monotonic time in seconds. */
static inline double fn_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* The slow path of fn_barrier_wait, after the spin: yields, then sleeps. */
static __attribute__((noinline)) void fn_barrier_wait_long(const unsigned *phase, unsigned old) {
    double began = fn_seconds();
    while (__atomic_load_n(phase, __ATOMIC_ACQUIRE) == old) {
        if (fn_seconds() < began + FN_YIELD_SECONDS) sched_yield();
        else nanosleep(&(struct timespec){0, 50000}, 0);
    }
}

/* Wait until all team_size threads have called this function. */
static inline void fn_barrier_wait(fn_barrier *barrier, int team_size) {
    if (team_size == 1) return;
    unsigned phase = __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == team_size) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE) == phase; spins++) {
        if (spins == FN_SPINS) {
            fn_barrier_wait_long(&barrier->phase, phase);
            return;
        }
        fn_pause();
    }
}

/* Store a value atomically and return the previous one. */
static inline int fn_swap(int *flag, int value) {
    return __atomic_exchange_n(flag, value, __ATOMIC_ACQ_REL);
}

static int fn_is_child; /* 1: this process was forked after this module was loaded */

static void fn_in_child(void) { fn_is_child = 1; }

/* Have fn_is_child set in forked processes. Returns 0 or an error number. */
static int fn_register_fork_handler(void) { return pthread_atfork(NULL, NULL, fn_in_child); }

static void *fn_lock_and_unlock(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Whether n threads can run at the same time, found by starting them. */
static int fn_can_start(int n) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *members = malloc(n * sizeof *members);
    int started = 0;
    if (members == NULL) return 0;
    pthread_mutex_lock(&gate);
    while (started < n && pthread_create(&members[started], NULL, fn_lock_and_unlock, &gate) == 0)
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(members[i], NULL);
    free(members);
    return started == n;
}

/* Whether the calling thread can start a team of n threads (decision c). */
static int fn_can_start_team(int n) {
    static _Thread_local int last_size = 1;
    if (n > last_size && !fn_can_start(n - last_size)) return 0;
    last_size = n;
    return 1;
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
