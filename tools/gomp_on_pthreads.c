/* The part of libgomp that the engine calls, on plain pthreads, for ThreadSanitizer.
 *
 * gcc's libgomp is not compiled with -fsanitize=thread, and starts and joins its threads by futex. The
 * sanitizer sees neither, and reports races between the code before and after a parallel region. Here
 * each region creates and joins its threads with pthread calls, which the sanitizer sees. This file is
 * linked into the engine (`make tsan`), so the OpenMP of other libraries is not replaced.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static _Thread_local unsigned team_size = 1;
static _Thread_local unsigned number_in_team = 0;

typedef struct {
    void (*region)(void *);
    void *data;
    unsigned team_size, number;
    pthread_t thread;
} member;

static void *run(void *argument) {
    member *self = argument;
    unsigned outer_size = team_size, outer_number = number_in_team;
    team_size = self->team_size;
    number_in_team = self->number;
    self->region(self->data);
    team_size = outer_size;
    number_in_team = outer_number;
    return NULL;
}

int omp_get_num_threads(void) { return (int)team_size; }

int omp_get_thread_num(void) { return (int)number_in_team; }

int omp_get_max_threads(void) {
    const char *named = getenv("OMP_NUM_THREADS");
    int n_threads = named ? atoi(named) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n_threads > 0 ? n_threads : 1;
}

/* If threads cannot be started the process ends, as with libgomp. */
void GOMP_parallel(void (*region)(void *), void *data, unsigned n_threads, unsigned flags) {
    (void)flags;
    unsigned team = n_threads ? n_threads : (unsigned)omp_get_max_threads();
    member *members = malloc(team * sizeof *members);
    if (!members) abort();
    for (unsigned i = 0; i < team; i++) {
        members[i] = (member){region, data, team, i, 0};
        if (i > 0 && pthread_create(&members[i].thread, NULL, run, &members[i])) abort();
    }
    run(&members[0]);
    for (unsigned i = 1; i < team; i++) pthread_join(members[i].thread, NULL);
    free(members);
}
