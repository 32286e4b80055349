"""The settings of the security room, declared beside their users. `xpack.security.enabled` is declared by the node.

Tests: tests/security/test_setup.py.
"""

from __future__ import annotations

from typing import Any

from hanse.settings.registry import Scope, Setting, boolean, choice, integer, optional_string, string, strings, time_s

_HASHES = (
    "bcrypt",
    *(f"bcrypt{cost}" for cost in range(4, 15)),
    "pbkdf2",
    *(f"pbkdf2_{rounds}" for rounds in (1000, 10000, 50000, 100000, 500000, 1000000)),
)
_DEFAULT_EVENTS = (
    "access_denied",
    "access_granted",
    "anonymous_access_denied",
    "authentication_failed",
    "connection_denied",
    "tampered_request",
    "run_as_denied",
    "run_as_granted",
    "security_config_change",
)

PASSWORD_HASHING = choice(
    "xpack.security.authc.password_hashing.algorithm",
    "bcrypt",
    _HASHES,
    Scope.STATIC,
    "how new passwords are hashed; bcrypt is bcrypt10",
)
API_KEY_ENABLED = boolean("xpack.security.authc.api_key.enabled", True, Scope.STATIC, "whether API keys are accepted")
RESERVED_REALM_ENABLED = boolean(
    "xpack.security.authc.reserved_realm.enabled", True, Scope.STATIC, "whether built-in users may log in"
)
RUN_AS_ENABLED = boolean(
    "xpack.security.authc.run_as.enabled", True, Scope.STATIC, "whether es-security-runas-user is honoured"
)
NATIVE_ENABLED = boolean(
    "xpack.security.authc.realms.native.*.enabled", True, Scope.STATIC, "whether the native realm is used"
)
NATIVE_ORDER = integer(
    "xpack.security.authc.realms.native.*.order", 0, Scope.STATIC, "the place in the realm chain", min=0
)
FILE_ENABLED = boolean(
    "xpack.security.authc.realms.file.*.enabled", True, Scope.STATIC, "whether the file realm is used"
)
FILE_ORDER = integer("xpack.security.authc.realms.file.*.order", 0, Scope.STATIC, "the place in the realm chain", min=0)
_PKI = "xpack.security.authc.realms.pki.*"
PKI_ENABLED = boolean(f"{_PKI}.enabled", True, Scope.STATIC, "whether the PKI realm is used")
PKI_ORDER = integer(f"{_PKI}.order", 0, Scope.STATIC, "the place among the PKI realms", min=0)
PKI_USERNAME_PATTERN = string(
    f"{_PKI}.username_pattern",
    "CN=(.*?)(?:,|$)",
    Scope.STATIC,
    "regular expression (RE2) whose first group finds the user's name in the subject",
)
PKI_AUTHORITIES = strings(
    f"{_PKI}.certificate_authorities", Scope.STATIC, "PEM files; one of them has to stand above a user's certificate"
)
PKI_TRUSTSTORE = optional_string(
    f"{_PKI}.truststore.path", Scope.STATIC, "PKCS#12 file with trusted certificates, instead of PEM files"
)
PKI_TRUSTSTORE_TYPE = choice(f"{_PKI}.truststore.type", "pkcs12", ("pkcs12",), Scope.STATIC, "PKCS12")
PKI_TRUSTSTORE_PASSWORD = optional_string(f"{_PKI}.truststore.password", Scope.STATIC, "password of the truststore")
PKI_TRUSTSTORE_SECURE_PASSWORD = optional_string(
    f"{_PKI}.truststore.secure_password", Scope.SECURE, "password of the truststore"
)
PKI_ROLE_MAPPING = optional_string(
    f"{_PKI}.files.role_mapping", Scope.STATIC, "YAML file that maps roles to subjects; by default role_mapping.yml"
)
PKI_AUTHORIZATION_REALMS = strings(
    f"{_PKI}.authorization_realms", Scope.STATIC, "not there: a realm named here is refused"
)
PKI_DELEGATION = boolean(f"{_PKI}.delegation.enabled", False, Scope.STATIC, "not there yet: true is refused")
CACHE_TTL_S = time_s(
    "xpack.security.authc.realms.native.*.cache.ttl",
    20 * 60,
    Scope.STATIC,
    "how long a verified password is not hashed again; 0 checks every time",
)
CACHE_MAX_USERS = integer(
    "xpack.security.authc.realms.native.*.cache.max_users",
    100_000,
    Scope.STATIC,
    "how many verified credentials are kept",
    min=1,
)
BOOTSTRAP_PASSWORD = string(
    "bootstrap.password", "", Scope.SECURE, "the elastic user's password before one has been set"
)
AUDIT_ENABLED = boolean("xpack.security.audit.enabled", False, Scope.STATIC, "whether the audit file is written")
AUDIT_INCLUDE = strings(
    "xpack.security.audit.logfile.events.include",
    Scope.STATIC,
    "which events are audited; _all for every one",
    _DEFAULT_EVENTS,
)
AUDIT_EXCLUDE = strings("xpack.security.audit.logfile.events.exclude", Scope.STATIC, "which events are not audited")
REMOTE_PEER_DEFAULT = choice(
    "xpack.security.remote_peer.default",
    "allow",
    ("allow", "deny"),
    Scope.STATIC | Scope.DYNAMIC,
    "what a cluster may do here whose certificate no remote peer matches: what its users' roles allow, or nothing",
)

SECURITY_SETTINGS: tuple[Setting[Any], ...] = (
    PASSWORD_HASHING,
    API_KEY_ENABLED,
    RESERVED_REALM_ENABLED,
    RUN_AS_ENABLED,
    NATIVE_ENABLED,
    NATIVE_ORDER,
    FILE_ENABLED,
    FILE_ORDER,
    PKI_ENABLED,
    PKI_ORDER,
    PKI_USERNAME_PATTERN,
    PKI_AUTHORITIES,
    PKI_TRUSTSTORE,
    PKI_TRUSTSTORE_TYPE,
    PKI_TRUSTSTORE_PASSWORD,
    PKI_TRUSTSTORE_SECURE_PASSWORD,
    PKI_ROLE_MAPPING,
    PKI_AUTHORIZATION_REALMS,
    PKI_DELEGATION,
    CACHE_TTL_S,
    CACHE_MAX_USERS,
    BOOTSTRAP_PASSWORD,
    AUDIT_ENABLED,
    AUDIT_INCLUDE,
    AUDIT_EXCLUDE,
    REMOTE_PEER_DEFAULT,
)
