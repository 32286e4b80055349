"""The settings below one TLS prefix (`xpack.security.transport.ssl.`, ...), with their defaults and cipher names.

Reads values only; `key_material.py` reads the files they name. Tests: tests/tls/test_ssl_settings.py.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanse.errors import IllegalArgumentError, SettingsError
from hanse.settings.registry import Scope, Setting, Settings, boolean, choice, optional_string, strings

TRANSPORT = "xpack.security.transport.ssl"
HTTP = "xpack.security.http.ssl"
REMOTE_SERVER = "xpack.security.remote_cluster_server.ssl"
REMOTE_CLIENT = "xpack.security.remote_cluster_client.ssl"
DIAGNOSE_TRUST = boolean(
    "xpack.security.ssl.diagnose.trust", True, Scope.STATIC, "whether a failure of trust is logged with its reason"
)

PROTOCOLS = ("TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1", "SSLv3", "SSLv2Hello")
USABLE_PROTOCOLS = ("TLSv1.3", "TLSv1.2")
"""Older names are accepted, as Elasticsearch does, and never negotiated, as its Java never negotiates them."""
TLS_1_3_SUITES = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256")
DEFAULT_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_JAVA_CIPHER = re.compile(
    r"^TLS_(?:(?P<exchange>ECDHE|DHE|RSA)(?:_(?P<proof>ECDSA|RSA))?)_WITH_"
    r"(?:AES_(?P<bits>128|256)_(?P<mode>GCM|CBC)|(?P<chacha>CHACHA20_POLY1305))_(?P<digest>SHA384|SHA256|SHA)$"
)


@dataclass(frozen=True, slots=True)
class _Use:
    """What the prefixes do not have in common."""

    enabled: bool = False
    client_authentication: str | None = "none"
    """Its default; None where there is no such setting, since that side only dials."""
    has_verification_mode: bool = True


_USES = {
    TRANSPORT: _Use(client_authentication="required"),
    HTTP: _Use(),
    REMOTE_SERVER: _Use(enabled=True, has_verification_mode=False),
    REMOTE_CLIENT: _Use(enabled=True, client_authentication=None),
}
_OF_OTHER_ROOMS = _Use()
"""For prefixes that are declared elsewhere."""
X509_FIELDS = ("subjectAltName.otherName.commonName", "subjectAltName.dnsName")


def ssl_settings(prefix: str) -> list[Setting[Any]]:
    """Every setting below `prefix`, with the defaults of that context."""
    use = _USES.get(prefix, _OF_OTHER_ROOMS)
    files = {
        "key": "PEM private key, relative to the config directory",
        "key_passphrase": "passphrase of the PEM private key",
        "certificate": "PEM certificate, or chain with the node's own certificate first",
        "keystore.path": "PKCS#12 file with key and certificate, instead of key and certificate",
        "keystore.type": "PKCS12",
        "keystore.password": "password of the keystore",
        "keystore.key_password": "password of the key in the keystore",
        "keystore.algorithm": "accepted and not used",
        "truststore.path": "PKCS#12 file with trusted certificates, instead of certificate_authorities",
        "truststore.type": "PKCS12",
        "truststore.password": "password of the truststore",
        "truststore.algorithm": "accepted and not used",
        "trust_restrictions.path": "YAML file with the names that a trusted certificate must carry besides",
    }
    secure = {
        "secure_key_passphrase": "passphrase of the PEM private key",
        "keystore.secure_password": "password of the keystore",
        "keystore.secure_key_password": "password of the key in the keystore",
        "truststore.secure_password": "password of the truststore",
    }
    return [
        boolean(f"{prefix}.enabled", use.enabled, Scope.STATIC, "speak TLS on this port"),
        *_checks(prefix, use),
        _x509_fields(f"{prefix}.trust_restrictions.x509_fields"),
        strings(
            f"{prefix}.certificate_authorities", Scope.STATIC, "PEM files; every certificate in them is trusted equally"
        ),
        _named(f"{prefix}.supported_protocols", "protocols", PROTOCOLS, ("TLSv1.3", "TLSv1.2")),
        strings(f"{prefix}.cipher_suites", Scope.STATIC, "cipher suites, Java's names or OpenSSL's, best first"),
        *(optional_string(f"{prefix}.{name}", Scope.STATIC, help) for name, help in files.items()),
        *(optional_string(f"{prefix}.{name}", Scope.SECURE, help) for name, help in secure.items()),
    ]


def _checks(prefix: str, use: _Use) -> list[Setting[Any]]:
    mode = choice(
        f"{prefix}.verification_mode",
        "full",
        ("full", "certificate", "none"),
        Scope.STATIC,
        "full: chain, and the name or address that was dialled; certificate: chain; none: nothing",
    )
    asked = choice(
        f"{prefix}.client_authentication",
        use.client_authentication or "none",
        ("required", "optional", "none"),
        Scope.STATIC,
        "whether the side that dials must show a certificate",
    )
    return [mode] * use.has_verification_mode + [asked] * (use.client_authentication is not None)


def _x509_fields(key: str) -> Setting[tuple[str, ...]]:
    """Elasticsearch takes the names in any case."""
    plain = strings(key, Scope.STATIC, f"which names trust_restrictions compares: {', '.join(X509_FIELDS)}")
    known = {field.lower(): field for field in X509_FIELDS}

    def parse(raw: Any, name: str) -> tuple[str, ...]:
        values = plain.parse(raw, name)
        for value in values:
            if value.lower() not in known:
                raise IllegalArgumentError(
                    f"{value} is not a supported x509 field for trust restrictions in [{name}]. Recognised values are "
                    f"[{','.join(X509_FIELDS)}]"
                )
        return tuple(known[value.lower()] for value in values)

    return Setting(key, parse, X509_FIELDS[:1], plain.scope, plain.help, X509_FIELDS[0])


def _named(key: str, what: str, allowed: Sequence[str], default: tuple[str, ...]) -> Setting[tuple[str, ...]]:
    plain = strings(key, Scope.STATIC, f"{what}, any of {', '.join(allowed)}", default)

    def parse(raw: Any, name: str) -> tuple[str, ...]:
        values = plain.parse(raw, name)
        for value in values:
            if value not in allowed:
                raise IllegalArgumentError(
                    f"unsupported value [{value}] for setting [{name}], expected any of [{', '.join(allowed)}]"
                )
        return values

    return Setting(key, parse, plain.default, plain.scope, plain.help, plain.default_text)


TLS_SETTINGS: list[Setting[Any]] = [
    *(setting for prefix in _USES for setting in ssl_settings(prefix)),
    DIAGNOSE_TRUST,
]
"""What the node's registry declares for this room."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """A keystore or truststore: where it is and how it opens."""

    setting: str
    path: Path
    type: str
    password: str | None
    key_password: str | None = None


@dataclass(frozen=True, slots=True)
class RestrictionSettings:
    """Where the names are that a peer's certificate must carry, and in which fields of it."""

    setting: str
    path: Path
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SslSettings:
    """The values below one prefix; contradictions between them were refused while reading."""

    prefix: str
    enabled: bool
    verification_mode: str
    client_authentication: str
    protocols: tuple[str, ...]
    ciphers: str
    key: Path | None
    key_passphrase: str | None
    certificate: Path | None
    keystore: StoreSettings | None
    authorities: tuple[Path, ...] | None
    truststore: StoreSettings | None
    restrictions: RestrictionSettings | None = None
    diagnoses_trust: bool = True


def read_ssl_settings(
    settings: Settings, prefix: str, config_dir: Path, secure: Mapping[str, str] | None = None
) -> SslSettings:
    """The values below `prefix`. Raises SettingsError with Elasticsearch's wording, naming the setting."""
    reader = _Reader(settings, prefix, config_dir, secure or {})
    reader.refuse_unset_enabled()
    try:
        return reader.read()
    except (IllegalArgumentError, SettingsError) as error:
        raise SettingsError(f"failed to load SSL configuration [{prefix}] - {error.reason}") from error


class _Reader:
    def __init__(self, settings: Settings, prefix: str, config_dir: Path, secure: Mapping[str, str]) -> None:
        self._declared = {setting.key: setting for setting in ssl_settings(prefix)}
        self._settings, self._prefix, self._config_dir, self._secure = settings, prefix, config_dir, secure

    def read(self) -> SslSettings:
        prefix = self._prefix
        self._refuse_both("certificate_authorities", "truststore.path")
        self._refuse_both("certificate", "keystore.path")
        self._refuse_both("key", "keystore.path")
        if self._is_set("certificate") and not self._is_set("key"):
            raise SettingsError(f"cannot specify [{prefix}.certificate] without also setting [{prefix}.key]")
        if self._is_set("key") and not self._is_set("certificate"):
            raise SettingsError(f"cannot specify [{prefix}.key] without also setting [{prefix}.certificate]")
        listed = self._value("certificate_authorities") if self._is_set("certificate_authorities") else None
        return SslSettings(
            prefix=prefix,
            enabled=self._value("enabled"),
            verification_mode=self._value("verification_mode", "full"),
            client_authentication=self._value("client_authentication", "none"),
            protocols=self._protocols(),
            ciphers=self._ciphers(),
            key=self._path("key", "PEM private key"),
            key_passphrase=self._password("key_passphrase", "secure_key_passphrase"),
            certificate=self._path("certificate", "PEM certificate"),
            keystore=self._store("keystore"),
            authorities=None
            if listed is None
            else tuple(self._placed("certificate_authorities", "PEM certificate_authorities", path) for path in listed),
            truststore=self._store("truststore"),
            restrictions=self._restrictions(),
            diagnoses_trust=self._settings.read(DIAGNOSE_TRUST),
        )

    def _value(self, name: str, undeclared: Any = None) -> Any:
        setting = self._declared.get(f"{self._prefix}.{name}")
        return undeclared if setting is None else self._settings.read(setting)

    def _is_set(self, name: str) -> bool:
        return f"{self._prefix}.{name}" in self._settings

    def _path(self, name: str, what: str) -> Path | None:
        value = self._value(name)
        return None if value is None else self._placed(name, what, value)

    def _placed(self, name: str, what: str, value: str) -> Path:
        return file_below(self._config_dir, value, f"{self._prefix}.{name}", what)

    def _restrictions(self) -> RestrictionSettings | None:
        path = self._path("trust_restrictions.path", "trust_restrictions")
        fields = self._value("trust_restrictions.x509_fields")
        if path is None:
            return None
        return RestrictionSettings(f"{self._prefix}.trust_restrictions.path", path, fields)

    def refuse_unset_enabled(self) -> None:
        if _USES.get(self._prefix, _OF_OTHER_ROOMS).enabled:
            return
        present = sorted(key for key in self._settings if key.startswith(self._prefix + "."))
        if present and not self._is_set("enabled"):
            raise SettingsError(
                f"invalid configuration for {self._prefix} - [{self._prefix}.enabled] is not set, but the following "
                f"settings have been configured in elasticsearch.yml : [{','.join(present)}]"
            )

    def _refuse_both(self, one: str, other: str) -> None:
        if self._is_set(one) and self._is_set(other):
            raise SettingsError(f"cannot specify both [{self._prefix}.{one}] and [{self._prefix}.{other}]")

    def _password(self, plain: str, secure: str) -> str | None:
        hidden = self._secure.get(f"{self._prefix}.{secure}")
        if hidden is not None and self._is_set(plain):
            raise SettingsError(
                f"cannot specify both [{self._prefix}.{plain}] and the secure setting [{self._prefix}.{secure}]"
            )
        value: str | None = self._value(plain)
        return hidden if hidden is not None else value

    def _store(self, name: str) -> StoreSettings | None:
        path = self._path(f"{name}.path", f"PKCS12 {name}")
        if path is None:
            return None
        type_setting = f"{self._prefix}.{name}.type"
        by_name = "PKCS12" if path.suffix.lower() in (".p12", ".pfx", ".pkcs12") else "jks"
        kind = self._value(f"{name}.type") or by_name
        if kind.upper() != "PKCS12":
            raise SettingsError(
                f"the store [{path}] in [{self._prefix}.{name}.path] is of type [{kind}], but only [PKCS12] can be "
                f"read; convert it with [keytool -importkeystore -deststoretype PKCS12], or set [{type_setting}] to "
                f"[PKCS12] if it is one"
            )
        password = self._password(f"{name}.password", f"{name}.secure_password")
        key_password = None
        if name == "keystore":
            key_password = self._password(f"{name}.key_password", f"{name}.secure_key_password")
        return StoreSettings(f"{self._prefix}.{name}.path", path, "PKCS12", password, key_password)

    def _protocols(self) -> tuple[str, ...]:
        usable = tuple(name for name in USABLE_PROTOCOLS if name in self._value("supported_protocols"))
        if not usable:
            raise SettingsError(f"no protocols configured in [{self._prefix}.supported_protocols]")
        suites = self._value("cipher_suites")
        if suites and not any(name in TLS_1_3_SUITES for name in suites):
            usable = tuple(name for name in usable if name != "TLSv1.3")
        if suites and all(name in TLS_1_3_SUITES for name in suites):
            usable = tuple(name for name in usable if name == "TLSv1.3")
        if not usable:
            raise SettingsError(
                f"no cipher suite in [{self._prefix}.cipher_suites] works with a protocol in "
                f"[{self._prefix}.supported_protocols]"
            )
        return usable

    def _ciphers(self) -> str:
        suites = self._value("cipher_suites")
        if not suites:
            if self._is_set("cipher_suites"):
                raise SettingsError(f"no cipher suites configured in [{self._prefix}.cipher_suites]")
            return DEFAULT_CIPHERS
        old = [openssl_cipher(name) for name in suites if name not in TLS_1_3_SUITES]
        return ":".join(old) or DEFAULT_CIPHERS


def file_below(config_dir: Path, value: str, setting: str, what: str) -> Path:
    """A file that a setting names, which has to lie below the config directory. Raises SettingsError.

    Judged by its name: a link there may point elsewhere, as those of mounted secrets do.
    """
    path = config_dir / value
    folder = os.path.abspath(config_dir)
    if not Path(os.path.abspath(path)).is_relative_to(folder):
        raise SettingsError(
            f"cannot read configured [{what}] [{path}] in [{setting}] because access to read the file is blocked; SSL "
            f"resources should be placed in the [{folder}] directory"
        )
    return path


def openssl_cipher(name: str) -> str:
    """OpenSSL's name of a TLS 1.2 suite that may be given by Java's name; a name of another form passes as it is."""
    match = _JAVA_CIPHER.match(name)
    if match is None:
        return name
    parts = [match["exchange"], match["proof"]] if match["proof"] else [match["exchange"]]
    if parts == ["RSA"]:
        parts = []  # OpenSSL leaves the plain RSA exchange out of the name
    if match["chacha"]:
        return "-".join([*parts, "CHACHA20-POLY1305"])
    mode = ["GCM"] if match["mode"] == "GCM" else []
    return "-".join([*parts, f"AES{match['bits']}", *mode, match["digest"]])
