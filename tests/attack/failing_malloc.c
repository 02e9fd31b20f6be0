/* Preloaded, it makes the k-th request for memory of at least some size fail, counted from `arm`, in
   the thread that armed it. */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static volatile long left = 0;
static volatile size_t least = 0;
static pthread_t owner;

void arm(long k, size_t size)
{
    owner = pthread_self();
    least = size;
    left = k;
}

/* Requests that were still to come before the one that would have failed; 0: it failed. */
long disarm(void)
{
    long rest = left;
    left = 0;
    return rest;
}

static int fails(size_t size)
{
    if (left == 0 || size < least || !pthread_equal(owner, pthread_self()))
        return 0;
    if (--left > 0)
        return 0;
    errno = ENOMEM;
    return 1;
}

void* malloc(size_t size) { return fails(size) ? NULL : __libc_malloc(size); }
void* calloc(size_t n, size_t size) { return fails(n * size) ? NULL : __libc_calloc(n, size); }
void* realloc(void* p, size_t size) { return fails(size) ? NULL : __libc_realloc(p, size); }
void* memalign(size_t line, size_t size) { return fails(size) ? NULL : __libc_memalign(line, size); }
void* aligned_alloc(size_t line, size_t size) { return memalign(line, size); }

int posix_memalign(void** p, size_t line, size_t size)
{
    void* found = memalign(line, size);
    if (found == NULL)
        return ENOMEM;
    *p = found;
    return 0;
}
