"""Where a host starts its walk over the blocks of a pool: exactly Calico's pseudo-random choice.

Calico (libcalico-go/lib/ipam, randomBlockGenerator) seeds Go's ``math/rand`` with the FNV-1 hash of the
host name and draws one ``big.Int`` below the number of blocks. Go's source is the additive lagged
Fibonacci generator s(n) = s(n-607) + s(n-273) mod 2⁶⁴, whose initial vector is a linear congruential
sequence XORed with the state of the same generator after 7.8·10¹² steps (Go's "cooked" values). That state
is computed here by raising x to that power modulo the characteristic polynomial.

Judge: the real cluster whose nodes' names and blocks are public (pool 100.96.0.0/11, node
ip-172-20-50-50.ec2.internal has 100.115.37.64/26).
"""

from __future__ import annotations

from functools import cache, lru_cache

_LENGTH, _TAP = 607, 273
_COOKING_STEPS = 7_800_000_000_000
_WORD = (1 << 64) - 1
_MODULUS, _MULTIPLIER, _ZERO_SEED = (1 << 31) - 1, 48271, 89482311
_WIDTH = 20  # bytes that one coefficient of a product of two polynomials needs (2 × 64 bits + carry)


@lru_cache(maxsize=1 << 16)
def start_index(host: str, blocks: int) -> int:
    """Index of the first block that ``host`` tries in a pool of ``blocks`` blocks (both as Calico counts them)."""
    seed = fnv1_32(host) % _MODULUS or _ZERO_SEED
    bits = (1 << blocks.bit_length()) - 1
    for attempt in range(0, _TAP - 1, 2):
        low, high = (_draw(seed, attempt + half) >> 31 & 0xFFFFFFFF for half in (0, 1))
        index = (high << 32 | low) & bits
        if index < blocks:
            return index
    raise AssertionError("more than a hundred rejections in a row: chance below 2⁻¹³⁰")


def fnv1_32(text: str) -> int:
    """FNV-1 (multiply, then XOR), 32 bits, as Go's ``fnv.New32``."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value * 0x01000193 & 0xFFFFFFFF) ^ byte
    return value


def _draw(seed: int, number: int) -> int:
    """The number-th Int63 after seeding; valid below _TAP draws, while the vector is still the initial one."""
    feed, tap = _LENGTH - _TAP - 1 - number, _LENGTH - 1 - number
    return (_initial(seed, feed) + _initial(seed, tap)) & (_WORD >> 1)


def _initial(seed: int, index: int) -> int:
    a, b, c = (seed * power % _MODULUS for power in _powers()[3 * index : 3 * index + 3])
    return a << 40 ^ b << 20 ^ c ^ _cooked()[index]


@cache
def _powers() -> tuple[int, ...]:
    """Multipliers of the congruential sequence from its 21st value on, so that any value is one product away."""
    powers, power = [], pow(_MULTIPLIER, 21, _MODULUS)
    for _ in range(3 * _LENGTH):
        powers.append(power)
        power = power * _MULTIPLIER % _MODULUS
    return tuple(powers)


@cache
def _cooked() -> tuple[int, ...]:
    """The generator's vector after the cooking steps, started from seed 1 (shifts 20 and 10 instead of 40 and 20)."""
    powers = _powers()
    vector = [powers[3 * i] << 20 ^ powers[3 * i + 1] << 10 ^ powers[3 * i + 2] for i in range(_LENGTH)]
    oldest = _LENGTH - _TAP - 1
    sequence = [vector[(oldest - i) % _LENGTH] for i in range(_LENGTH)]
    for i in range(_LENGTH):
        sequence.append((sequence[i] + sequence[i + _LENGTH - _TAP]) & _WORD)
    # term n+j = Σ p[k]·term k+j, p = x^n mod (x^607 - x^334 - 1): one product of two packed polynomials
    product = _product(_pack(_power_of_x(_COOKING_STEPS)[::-1]), _pack(sequence))
    terms = product[_LENGTH - 1 : 2 * _LENGTH - 1]
    feed = (_LENGTH - _TAP - _COOKING_STEPS) % _LENGTH
    cooked = [0] * _LENGTH
    for j, term in enumerate(terms):
        cooked[(feed - 1 - j) % _LENGTH] = term
    return tuple(cooked)


def _power_of_x(exponent: int) -> list[int]:
    result = [1] + [0] * (_LENGTH - 1)
    for bit in bin(exponent)[2:]:
        packed = _pack(result)
        result = _reduce(_product(packed, packed))
        if bit == "1":
            result = _reduce([0, *result])
    return result


def _reduce(polynomial: list[int]) -> list[int]:
    """Modulo x^607 = x^334 + 1, coefficients modulo 2⁶⁴."""
    for power in range(len(polynomial) - 1, _LENGTH - 1, -1):
        coefficient = polynomial[power]
        polynomial[power - _LENGTH] += coefficient
        polynomial[power - _TAP] += coefficient
    return [coefficient & _WORD for coefficient in polynomial[:_LENGTH]]


def _pack(polynomial: list[int]) -> int:
    """Kronecker substitution: coefficients side by side in one integer."""
    return int.from_bytes(b"".join(coefficient.to_bytes(_WIDTH, "little") for coefficient in polynomial), "little")


def _product(a: int, b: int) -> list[int]:
    product = a * b
    data = product.to_bytes(-(-product.bit_length() // 8 // _WIDTH + 1) * _WIDTH + 2 * _WIDTH, "little")
    return [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data), _WIDTH)]
