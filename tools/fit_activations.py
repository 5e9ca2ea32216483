"""Coefficients of the polynomials in csrc/kernels/activations_math.inc, from nothing but mpmath.

    python tools/fit_activations.py

prints them as C. Each polynomial goes through its function at the Chebyshev nodes of the interval, in 60 digits, and is
then written in powers: within a small factor of the best there is (Trefethen, "Approximation Theory and Approximation
Practice", 2013, chapters 4 and 16).
"""

import struct

from mpmath import binomial, cos, erfc, exp, expm1, factorial, log, mp, mpf, pi, sqrt

mp.dps = 60


def chebyshev(f, low, high, degree):
    """Coefficients, lowest first, of the polynomial of that degree through f at the Chebyshev nodes of [low, high]."""
    n = degree + 1
    angles = [pi * (i + mpf(1) / 2) / n for i in range(n)]
    middle, half = (low + high) / 2, (high - low) / 2
    values = [f(middle + half * cos(angle)) for angle in angles]
    weights = [2 * sum(v * cos(j * a) for v, a in zip(values, angles, strict=True)) / n for j in range(n)]
    weights[0] /= 2
    # sums of T_j((x - middle) / half) as powers of x
    powers = [mpf(0)] * n
    for j, weight in enumerate(weights):
        for i, t in enumerate(chebyshev_powers(j)):
            for k in range(i + 1):
                powers[k] += weight * t * binomial(i, k) * (-middle) ** (i - k) / half**i
    return powers


def chebyshev_powers(j):
    """T_j as powers, lowest first."""
    before, now = [mpf(1)], [mpf(0), mpf(1)]
    for _ in range(j):
        twice = [mpf(0)] + [2 * a for a in now]
        before, now = now, [a - b for a, b in zip(twice, before + [0] * 2, strict=True)]
    return before


def horner(powers, x):
    y = mpf(0)
    for a in reversed(powers):
        y = y * x + a
    return y


def worst(f, powers, low, high, relative_to):
    points = [low + (high - low) * i / 1000 for i in range(1001)]
    return max(abs((horner(powers, x) - f(x)) / relative_to(x)) for x in points)


def exp_tail(r):
    """(exp(r) - 1 - r) / r^2, by its series where that cancels."""
    if abs(r) > mpf(1) / 100:
        return (expm1(r) - r) / r**2
    return sum(r**i / factorial(i + 2) for i in range(30))


def mills(a):
    """exp(a^2 / 2) * Phi(-a)."""
    return exp(a * a / 2) * erfc(a / sqrt(mpf(2))) / 2


def normal_center(t):
    """(Phi(a) - 1/2) / a for t = a^2, by its series: it has no digits to lose."""
    return sum((-t / 2) ** i / factorial(i) / (2 * i + 1) for i in range(40)) / sqrt(2 * pi)


def rounded(powers, dtype):
    """As numbers of the dtype."""
    return [mpf(struct.unpack("f", struct.pack("f", a))[0] if dtype == "f32" else float(a)) for a in powers]


def show(name, dtype, f, powers, low, high, relative_to):
    powers = rounded(powers, dtype)
    print(f"/* {name} {dtype}: error {float(worst(f, powers, low, high, relative_to)):.1e} */")
    print("".join(f"    {float(a).hex()}, \\\n" for a in reversed(powers)))


def main():
    half = log(mpf(2)) / 2 * mpf("1.0001")
    for dtype, degree in (("f32", 4), ("f64", 10)):
        powers = chebyshev(exp_tail, -half, half, degree)
        show("exp, of expm1(r)", dtype, exp_tail, powers, -half, half, lambda r: 1 / max(abs(r), 1e-9))
    for dtype, degree in (("f32", 3), ("f64", 7)):
        powers = chebyshev(normal_center, mpf(0), mpf(1) / 4, degree)
        show("normal center, of a half", dtype, normal_center, powers, mpf(0), mpf(1) / 4, lambda t: 1)
    for dtype, degree, highest, c in MILLS:
        scaled = lambda z, c=c: (c + c * (1 + z) / (1 - z)) * mills(c * (1 + z) / (1 - z))  # noqa: E731
        top = (highest - c) / (mpf(highest) + c)
        powers = chebyshev(scaled, mpf(-1), top, degree)
        show(f"normal tail, c = {c}, relative,", dtype, scaled, powers, mpf(-1), top, scaled)
    for name, value in (
        ("log2(e)", 1 / log(mpf(2))),
        ("1 / sqrt(2 pi)", 1 / sqrt(2 * pi)),
        ("c0 = 2 sqrt(2 / pi)", 2 * sqrt(2 / pi)),
        ("c1 = 0.044715 c0", 2 * sqrt(2 / pi) * mpf("0.044715")),
    ):
        for dtype in ("f32", "f64"):
            (head,) = rounded([value], dtype)
            print(name, dtype, float(head).hex(), float(*rounded([value - head], dtype)).hex())
    for dtype, bits in (("f32", 15), ("f64", 40)):
        head = mpf(int(log(mpf(2)) * 2**bits)) / 2**bits
        print("ln 2", dtype, float(head).hex(), float(*rounded([log(mpf(2)) - head], dtype)).hex())


# Degree, where the argument ends, and c of the variable z = (a - c) / (a + c): tried from 2 to 5.
MILLS = (("f32", 9, 21, 4), ("f64", 22, 40, 5))

if __name__ == "__main__":
    main()
