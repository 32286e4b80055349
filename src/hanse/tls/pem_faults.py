"""What is wrong with a PEM file, in words that an operator can act on; the library's own name its inner parts.

Tests: tests/tls/test_pem_faults.py.
"""

from __future__ import annotations

import re

_LABELS = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_DER_SEQUENCE = 0x30


def fault_of(data: bytes, wanted: str) -> str:
    """The end of a sentence about a file in which no readable block of this label was found.

    `wanted` is CERTIFICATE or PRIVATE KEY; a key may say its algorithm before (`EC PRIVATE KEY`). Names labels, never
    content.
    """
    labels = list(dict.fromkeys(label.decode() for label in _LABELS.findall(data)))
    if not data.strip():
        return "it is empty"
    if not labels:
        form = "it seems to be in DER form; convert it to PEM" if data[0] == _DER_SEQUENCE else "it is no PEM file"
        return f"no line in it begins with [-----BEGIN {wanted}-----]: {form}"
    fitting = [label for label in labels if label.endswith(wanted)]
    if not fitting:
        return f"it holds [{'], ['.join(labels[:5])}] and no [{wanted}]"
    for label in fitting:
        if f"-----END {label}-----".encode() not in data:
            return f"the block [{label}] has no end line: the file is cut off"
    return f"the content of its block [{fitting[0]}] is damaged, or of a kind that is not supported"
