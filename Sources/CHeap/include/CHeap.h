#pragma once

/// Keeps up to 16 MB of freed memory with the program, and gives blocks from 4 MB back at once (glibc; other C libraries are left as
/// they are).
///
/// By itself glibc begins with 128 KB for both and learns larger limits from what is freed. On the way there, and between them, it gives
/// back the memory of every other long body, and the kernel clears it anew for the next: up to 200 µs of a 1 MB chat
/// (docs/performance.md).
void keep_freed_memory(void);
