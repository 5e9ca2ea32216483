/* Arrays: in arenas, at whose end is a page out of bounds, or in blocks of malloc. */
#include "kernels.h"

#include <sys/mman.h>
#include <unistd.h>

enum { CANARY = 0xC3, CANARY_BYTES = 64 };

/* An arena for each array, the page behind it being out of bounds. */
static unsigned char *arena[ROOMS];

room rooms[ROOMS];

_Noreturn void give_up(const char *what)
{
    perror(what);
    exit(3);
}

void make_arenas(int guarded)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < ROOMS; i++) {
        arena[i] = mmap(NULL, MOST_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (arena[i] == MAP_FAILED) give_up("mmap");
        if (guarded && mprotect(arena[i] + MOST_BYTES, page, PROT_NONE)) give_up("mprotect");
    }
}

int in_arenas;

void *make_room(int i, ptrdiff_t items, size_t item_bytes)
{
    room *r = &rooms[i];
    r->bytes = (size_t)items * item_bytes;
    if (in_arenas) {
        if (r->bytes + CANARY_BYTES > MOST_BYTES) give_up("an array that is larger than its arena");
        r->at = arena[i] + MOST_BYTES - r->bytes;
        r->canary = (unsigned char *)r->at - CANARY_BYTES;
        memset(r->canary, CANARY, CANARY_BYTES);
    } else {
        const size_t start = (size_t)below(8) * item_bytes; /* aligned to its elements and no more */
        r->block = malloc(start + r->bytes);
        if (!r->block) give_up("malloc");
        r->at = (char *)r->block + start;
    }
    return r->at;
}

int canaries_alive(void)
{
    int alive = 1;
    for (int i = 0; i < ROOMS; i++)
        for (int k = 0; rooms[i].canary && k < CANARY_BYTES; k++) alive &= rooms[i].canary[k] == CANARY;
    return alive;
}

void clear_room(int i)
{
    free(rooms[i].block);
    rooms[i] = (room){0};
}

void clear_rooms(void)
{
    for (int i = 0; i < ROOMS; i++) clear_room(i);
}
