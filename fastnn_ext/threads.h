/* What threads need of each other: a barrier, a flag and a clock; and whether there can be any.
 *
 * a. The barrier is our own: `#pragma omp barrier` makes a system call on every arrival, 0.24 us
 *    against 0.03 us here, and a training step has two.
 * b. Waiting begins as a short spin, because the others are microseconds away, and goes on with
 *    yields: where another program holds a processor, two of the team may have to share one, and a
 *    long spin would keep the other from what is waited for. To sleep would let those who come back
 *    wait, yield, and lose their processor again; only a wait that is much longer ends in sleep.
 *    Beside one busy program, two threads took 9 us a step at 5-16-1 (one thread 0.9), 55 to 61 at
 *    24-80-40-2 (one 24); with a spin of 50 us before 60 us of yields 10 and 198, and with sleeps of
 *    50 us after those, hundreds of times as long as one thread at 5-16-1. Alone on the machine, none
 *    of this differs.
 * c. libgomp ends the process where it cannot start a thread (a limit on processes or on memory), so
 *    threads are started for a try before it is asked for more than it has. It keeps those of its
 *    last team for the thread that called.
 * d. Threads do not survive a fork, and libgomp would wait for them for ever. pthread_atfork sees the
 *    forks of C code too, which Python's hook does not.
 */
#ifndef FASTNN_THREADS_H
#define FASTNN_THREADS_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define FN_SPINS 100          /* about 1 us */
#define FN_YIELD_SECONDS 0.02 /* several turns of another program */

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

static inline double fn_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

/* The part of fn_wait that is long. */
static __attribute__((noinline)) void fn_wait_long(const unsigned *phase, unsigned old) {
    double began = fn_seconds();
    while (__atomic_load_n(phase, __ATOMIC_ACQUIRE) == old) {
        if (fn_seconds() < began + FN_YIELD_SECONDS) sched_yield();
        else nanosleep(&(struct timespec){0, 50000}, 0);
    }
}

static inline void fn_wait(fn_barrier *barrier, int team) {
    if (team == 1) return;
    unsigned phase = __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&barrier->arrived, 1, __ATOMIC_ACQ_REL) == team) {
        __atomic_store_n(&barrier->arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&barrier->phase, phase + 1, __ATOMIC_RELEASE);
        return;
    }
    for (int spins = 0; __atomic_load_n(&barrier->phase, __ATOMIC_ACQUIRE) == phase; spins++) {
        if (spins == FN_SPINS) {
            fn_wait_long(&barrier->phase, phase);
            return;
        }
        fn_pause();
    }
}

/* Puts a value in place and returns what was there. */
static inline int fn_swap(int *flag, int value) {
    return __atomic_exchange_n(flag, value, __ATOMIC_ACQ_REL);
}

static int fn_is_child; /* of a fork, since this module was loaded */

static void fn_in_child(void) { fn_is_child = 1; }

/* Returns an error number, 0 for none. */
static int fn_watch_forks(void) { return pthread_atfork(NULL, NULL, fn_in_child); }

static void *fn_wait_for_turn(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Whether n threads can be started, all at a time: by doing it. */
static int fn_can_start(int n) {
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t *members = malloc(n * sizeof *members);
    int started = 0;
    if (members == NULL) return 0;
    pthread_mutex_lock(&gate);
    while (started < n && pthread_create(&members[started], NULL, fn_wait_for_turn, &gate) == 0)
        started++;
    pthread_mutex_unlock(&gate);
    for (int i = 0; i < started; i++) pthread_join(members[i], NULL);
    free(members);
    return started == n;
}

/* Whether the calling thread can have a team of n. */
static int fn_can_have_team(int n) {
    static _Thread_local int had = 1;
    if (n > had && !fn_can_start(n - had)) return 0;
    had = n;
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
