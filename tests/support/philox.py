"""Philox 4x32-10 in integers of Python, written from the paper: word i of a key, one at a time."""

WORD = 2**32


def rounds(counter, key):
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = q // WORD ^ b ^ k, q % WORD, p // WORD ^ d ^ m, p % WORD
        k, m = (k + 0x9E3779B9) % WORD, (m + 0xBB67AE85) % WORD
    return a, b, c, d


def word(i, seed, offset):
    block = i // 4
    counter = block % WORD, block // WORD, offset % WORD, offset // WORD
    return rounds(counter, (seed % WORD, seed // WORD))[i % 4]
