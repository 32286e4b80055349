"""A certificate's subject as text that cannot be misread: what PKI realms and role mappings match patterns against.

In `CN=joe, O=Acme` only `,`, `+` and `=` of the name's own structure stand as they are; within values they are written
as `\\2C`, `\\2B`, `\\3D`, and so is whatever else a pattern could trip over. A value that reads `x,CN=admin` is thus
not taken for two. Tests: tests/security/test_subjects.py.
"""

from __future__ import annotations

import re
from typing import Any

from hanse.security.builtin_roles import INTERNAL_USERS
from hanse.tls.identity import NAME_PIECES

_ESCAPE = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)", re.DOTALL)
_SPECIAL = frozenset(',+="\\<>;#*')
_NAMES = {
    "1.2.840.113549.1.9.1": "EMAILADDRESS",
    "2.5.4.4": "SURNAME",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.12": "T",
    "2.5.4.42": "GIVENNAME",
    "2.5.4.46": "DNQUALIFIER",
}


def rendered(subject: str, *, separator: str = ", ", keep: str = "") -> str:
    """The RFC 4514 text of a subject, written anew. Characters in `keep` stay as they are within values."""
    parts = []
    for piece in NAME_PIECES.findall(subject):
        kind, equals, value = piece.partition("=")
        if piece in (",", "+"):
            parts.append(separator if piece == "," else "+")
        elif not equals:
            parts.append(_hidden(piece.strip(" "), keep))
        else:
            kind = kind.strip(" ").upper()
            parts.append(f"{_NAMES.get(kind, kind)}={_hidden(value, keep)}")
    return "".join(parts)


def username_of(subject: str, pattern: Any) -> str:
    """What the first group of a compiled pattern finds. Raises ValueError when that is not one name without doubt."""
    text = rendered(subject)
    found = set()
    for match in pattern.finditer(text):
        start, end = match.span(1)
        if "\\" in text[max(0, start - 3) : start] or text[end : end + 1] == "\\":
            raise ValueError("the pattern ends within a character that had to be written in another way")
        found.add(match.group(1))
    if len(found) != 1:
        raise ValueError("the pattern does not match" if not found else "the pattern finds several names")
    name = found.pop() or ""
    if any(mark in name for mark in ",+="):
        raise ValueError("the pattern reaches beyond one value")
    return _checked(_shown(name))


def _checked(name: str) -> str:
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError("the name is empty, has white space around it or holds what cannot be printed")
    if name in INTERNAL_USERS:
        raise ValueError("the name is that of an internal user")
    return name


def _hidden(value: str, keep: str) -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else found[2], value)
    return "".join(
        char if char in keep or (char.isprintable() and char not in _SPECIAL) else _bytes_of(char) for char in plain
    )


def _bytes_of(char: str) -> str:
    return "".join(f"\\{byte:02X}" for byte in char.encode(errors="surrogatepass"))


def _shown(text: str) -> str:
    def of(found: re.Match[str]) -> str:
        return bytes.fromhex(found[0].replace("\\", "")).decode(errors="replace")

    return re.sub(r"(?:\\[0-9A-F]{2})+", of, text)
