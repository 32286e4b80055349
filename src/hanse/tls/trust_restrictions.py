"""Trust restrictions: which of the certificates that a trusted authority signed are let in, by a name they carry.

Read from the YAML file of `trust_restrictions.path`. Compared are names among the subject alternative names (an
otherName with the OID of commonName, or DNS names), never the subject. `check` is asked when a handshake is complete
and before a byte of the peer is read. Nothing that cannot be read counts as a name.
Tests: tests/tls/test_trust_restrictions.py.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import re2
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hanse.errors import SettingsError
from hanse.tls.identity import PeerCertificate, readable_certificate
from hanse.tls.key_material import read_file
from hanse.tls.ssl_settings import X509_FIELDS, RestrictionSettings

_re2: Any = re2  # the module has no types
_OTHER_NAME, _DNS_NAME = X509_FIELDS
PATTERNS_MAX = 1000
PATTERN_CHARS_MAX = 1000


class RestrictedTrustError(ssl.SSLError):
    """The chain of the peer is trusted, and none of its names is."""

    def __init__(self, shown: PeerCertificate | None, names: tuple[str, ...], restrictions: TrustRestrictions) -> None:
        super().__init__("restricted trust")
        self.shown, self.names, self.restrictions = shown, names, restrictions


@dataclass(frozen=True, slots=True)
class TrustRestrictions:
    """What one reading of the file gave."""

    settings: RestrictionSettings
    patterns: tuple[str, ...]
    _compiled: tuple[Any, ...]

    def check(self, tls: ssl.SSLObject | ssl.SSLSocket) -> None:
        """Raises RestrictedTrustError. A peer that showed no certificate is the business of client_authentication."""
        shown = tls.getpeercert(binary_form=True)
        certificate = readable_certificate(shown) if shown else None
        if shown and (certificate is None or not self.allows_peer(certificate)):
            raise RestrictedTrustError(certificate, self.names_of(certificate), self)

    def allows_peer(self, certificate: PeerCertificate) -> bool:
        return any(self.allows(name) for name in self.names_of(certificate))

    def names_of(self, certificate: PeerCertificate | None) -> tuple[str, ...]:
        """The names that are compared; none where the certificate cannot be read."""
        if certificate is None:
            return ()
        common = certificate.common_names if _OTHER_NAME in self.settings.fields else ()
        dns = certificate.dns_names if _DNS_NAME in self.settings.fields else ()
        return (*common, *(name for name in dns if name.isprintable()))

    def allows(self, name: str) -> bool:
        return any(pattern.fullmatch(name) is not None for pattern in self._compiled)


def read_restrictions(settings: RestrictionSettings | None) -> TrustRestrictions | None:
    """None when nothing is restricted. Raises SettingsError naming the setting for a file that cannot be used."""
    if settings is None:
        return None
    where = f"cannot use the trust restrictions [{settings.path}] in [{settings.setting}]"
    data = read_file(settings.path, settings.setting, "trust_restrictions")
    try:
        content = YAML(typ="safe", pure=True).load(data.decode())
    except (YAMLError, RecursionError, ValueError) as error:
        raise SettingsError(f"{where}: {' '.join(str(error).split())}") from error
    patterns = _listed(content, where)
    return TrustRestrictions(settings, patterns, tuple(_compiled(pattern, where) for pattern in patterns))


def _listed(content: Any, where: str) -> tuple[str, ...]:
    """The names below `trust.subject_name`, written in one key or in two."""
    if isinstance(content, Mapping) and list(content) == ["trust"] and isinstance(content["trust"], Mapping):
        content = {f"trust.{name}": value for name, value in content["trust"].items()}
    if not isinstance(content, Mapping) or list(content) != ["trust.subject_name"]:
        raise SettingsError(f"{where}: it must hold [trust.subject_name] with a list of names, and nothing else")
    value = content["trust.subject_name"]
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise SettingsError(f"{where}: [trust.subject_name] must be a name or a list of names")
    if len(names) > PATTERNS_MAX or any(len(name) > PATTERN_CHARS_MAX for name in names):
        raise SettingsError(f"{where}: more than [{PATTERNS_MAX}] names, or one of over [{PATTERN_CHARS_MAX}] letters")
    return tuple(names)


def _compiled(pattern: str, where: str) -> Any:
    """`*` stands for any text; between slashes stands a regular expression, which has to match all of the name."""
    if len(pattern) > 1 and pattern.startswith("/") and pattern.endswith("/"):
        expression = f"(?:{pattern[1:-1]})"
    else:
        expression = ".*".join(re.escape(part) for part in re.split(r"\*+", pattern))
    try:
        return _re2.compile(expression)
    except re2.error as error:
        raise SettingsError(f"{where}: [{pattern}] is not a regular expression") from error
