"""DER, the byte form of ASN.1: as much of it as a PKCS#12 file needs, and nothing that is not asked for there.

Writing cannot fail; reading bounds every length before it is believed and raises ValueError for what is not DER.
Tests: tests/tls/test_der.py.
"""

from __future__ import annotations

from dataclasses import dataclass

INTEGER, OCTET_STRING, NULL, OID, SEQUENCE, SET, BMP_STRING = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31, 0x1E
VALUES_MAX = 10_000


def tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return tagged(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    return tagged(SET, b"".join(sorted(parts)))


def explicit(number: int, content: bytes) -> bytes:
    """A constructed element with a context tag, `[number] EXPLICIT`."""
    return tagged(0xA0 | number, content)


def implicit(number: int, content: bytes) -> bytes:
    """A primitive element with a context tag, `[number] IMPLICIT`."""
    return tagged(0x80 | number, content)


def integer(value: int) -> bytes:
    assert value >= 0
    return tagged(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content: bytes) -> bytes:
    return tagged(OCTET_STRING, content)


def null() -> bytes:
    return tagged(NULL, b"")


def bmp(text: str) -> bytes:
    return tagged(BMP_STRING, text.encode("utf-16-be"))


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    content = bytearray()
    for number in (40 * first + second, *rest):
        groups = [number & 0x7F]
        while number := number >> 7:
            groups.append(0x80 | number & 0x7F)
        content += bytes(reversed(groups))
    return tagged(OID, bytes(content))


@dataclass(frozen=True, slots=True)
class Element:
    """One element as it was read. `raw` is the whole of it, tag and length too."""

    tag: int
    content: bytes
    raw: bytes

    def children(self, at_least: int = 0) -> list[Element]:
        """The elements inside. Raises ValueError when there are fewer than `at_least`."""
        found = read_all(self.content)
        if len(found) < at_least:
            raise ValueError(f"an element holds {len(found)} parts, but {at_least} are needed")
        return found

    @property
    def number(self) -> int:
        return int.from_bytes(self.content, "big")


def read_all(data: bytes) -> list[Element]:
    """The elements that follow each other in `data`."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        element = _read(data, at)
        found.append(element)
        at += len(element.raw)
        if len(found) > VALUES_MAX:
            raise ValueError(f"more than {VALUES_MAX} elements")
    return found


def read_one(data: bytes) -> Element:
    """The only element in `data`."""
    found = read_all(data)
    if len(found) != 1:
        raise ValueError("one element is expected")
    return found[0]


def _read(data: bytes, start: int) -> Element:
    if start + 2 > len(data):
        raise ValueError("an element is cut short")
    tag, size, at = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F:
        raise ValueError("tags of several bytes are not expected here")
    if size == 0x80 or size > 0x84:
        raise ValueError("the length of an element is not DER")
    if size > 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    if at + size > len(data):
        raise ValueError("an element is longer than what holds it")
    return Element(tag, data[at : at + size], data[start : at + size])
