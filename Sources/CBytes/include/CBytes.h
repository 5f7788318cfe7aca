#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <emmintrin.h>

/// One bit for each of the 16 bytes at `bytes`, set when the byte ends plain text in a JSON string: quotes, backslashes, control
/// characters and bytes above ASCII. One comparison of signed bytes finds the last two.
static inline __attribute__((always_inline)) uint64_t string_marks_16(const uint8_t *bytes) {
    const __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    const __m128i quotes = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
    const __m128i backslashes = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
    const __m128i others = _mm_cmplt_epi8(text, _mm_set1_epi8(' '));
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), others));
}

/// The same for the 64 bytes at `bytes`, the first one lowest. Every x86-64 processor has SSE2.
static inline __attribute__((always_inline)) uint64_t string_marks_64(const void *bytes) {
    const uint8_t *text = (const uint8_t *)bytes;
    return string_marks_16(text) | string_marks_16(text + 16) << 16 | string_marks_16(text + 32) << 32 |
           string_marks_16(text + 48) << 48;
}

/// One bit for each of the 16 bytes at `bytes`, set when the byte is `byte`.
static inline __attribute__((always_inline)) uint64_t byte_marks_16(const uint8_t *bytes, uint8_t byte) {
    const __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(text, _mm_set1_epi8((char)byte)));
}

/// The same for the 64 bytes at `bytes`, the first one lowest.
static inline __attribute__((always_inline)) uint64_t byte_marks_64(const void *bytes, uint8_t byte) {
    const uint8_t *text = (const uint8_t *)bytes;
    return byte_marks_16(text, byte) | byte_marks_16(text + 16, byte) << 16 | byte_marks_16(text + 32, byte) << 32 |
           byte_marks_16(text + 48, byte) << 48;
}
#endif
