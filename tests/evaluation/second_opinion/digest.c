/* SHA-256 (FIPS 180-4) of canonical bytes (section 8). */

#include <math.h>
#include <stdio.h>

#include "opinion.h"

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

struct hash {
    uint32_t state[8];
    uint8_t block[64];
    int filled;
};

static uint32_t turned(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void compress(struct hash *h)
{
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)h->block[4 * i] << 24 | (uint32_t)h->block[4 * i + 1] << 16 |
               (uint32_t)h->block[4 * i + 2] << 8 | h->block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + w[i - 7] +
               (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
    }
    for (int i = 0; i < 8; i++)
        v[i] = h->state[i];
    for (int i = 0; i < 64; i++) {
        uint32_t a = v[0], e = v[4];
        uint32_t first = v[7] + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) +
                         ((e & v[5]) ^ (~e & v[6])) + ROUND[i] + w[i];
        uint32_t second = (turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) +
                          ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        for (int j = 7; j > 0; j--)
            v[j] = v[j - 1];
        v[4] += first;
        v[0] = first + second;
    }
    for (int i = 0; i < 8; i++)
        h->state[i] += v[i];
    h->filled = 0;
}

static void absorb(struct hash *h, uint8_t byte)
{
    h->block[h->filled++] = byte;
    if (h->filled == 64)
        compress(h);
}

static uint64_t canonical(const struct tensor *x, long i)
{
    static const uint64_t QUIET[] = {0x7e00, 0x7fc0, 0x7fc00000, UINT64_C(0x7ff8000000000000)};
    if (!is_float(x->type))
        return (uint64_t)x->whole[i];
    if (isnan(x->real[i]))
        return QUIET[x->type];
    return to_bits(x->real[i] == 0 ? 0.0 : x->real[i], x->type);
}

void digest_of(const struct tensor *x, char hex[65])
{
    struct hash h = {{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}, {0}, 0};
    uint64_t bits = 0;
    for (long i = 0; i < x->count; i++) {
        uint64_t element = canonical(x, i);
        for (int byte = 0; byte < width_of(x->type); byte++, bits += 8)
            absorb(&h, (uint8_t)(element >> 8 * byte));
    }
    absorb(&h, 0x80);
    while (h.filled != 56)
        absorb(&h, 0);
    for (int byte = 7; byte >= 0; byte--)
        absorb(&h, (uint8_t)(bits >> 8 * byte));
    for (int i = 0; i < 8; i++)
        snprintf(hex + 8 * i, 9, "%08x", (unsigned)h.state[i]);
}
