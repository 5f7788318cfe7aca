#include <stdlib.h>  // tells which C library this is

#include "CHeap.h"

#ifdef __GLIBC__
#include <malloc.h>  // not in Swift's module of glibc
#endif

void keep_freed_memory(void) {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}
