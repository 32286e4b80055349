"""32-bit scores as JSON: the shortest decimal that reads back as the same float.

Tests: tests/search/test_float_text.py.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache


@lru_cache(maxsize=8192)
def score_json(score: float) -> bytes:
    """`1.3862942`, `1.0`, `0.0`, as Elasticsearch writes floats."""
    wanted = ctypes.c_float(score).value
    text = f"{wanted:.9g}"
    for digits in (6, 7, 8):
        shorter = f"{wanted:.{digits}g}"
        if ctypes.c_float(float(shorter)).value == wanted:
            text = shorter
            break
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        text = _with_exponent(mantissa, int(exponent), wanted)
    return (text if "." in text else text + ".0").encode()


def _with_exponent(mantissa: str, exponent: int, value: float) -> str:
    """Java switches to exponents below 0.001 and from 10 million on."""
    if 0 <= exponent < 7:
        return f"{value:.1f}"
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{exponent}"
