"""The secure settings of a node: elasticsearch.keystore in the config directory, one encrypted file.

The format is our own: a line of magic, a line of JSON with the parameters of the key derivation, then AES-256-GCM over
the values, with both lines as associated data. With an empty password the file hides values from a glance, and its mode
protects them, as in Elasticsearch. A save is atomic and durable: either the old file is there or the new one.
Tests: tests/settings/test_keystore.py.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hanse.errors import SettingsError

FILE_NAME = "elasticsearch.keystore"
FILE_BYTES_MAX = 4 * 1024 * 1024
FILE_MODE = 0o660
SEED = "keystore.seed"
SEED_LENGTH = 20
SEED_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~!@#$%^&*-_=+?"

_MAGIC = b"hanse-keystore-1\n"
_ELASTICSEARCH_MAGIC = b"\x3f\xd7\x6c\x17"
_NAME = re.compile(r"^[A-Za-z0-9_\-.]+$")
_COST = 2**15
_COST_WITHOUT_PASSWORD = 2**10
_COST_MAX = 2**17
"""A file that asks for more memory than 128 MB is not one we wrote."""


class _Header(msgspec.Struct):
    salt: bytes
    nonce: bytes
    cost: int
    has_password: bool


class Keystore(Mapping[str, str]):
    """Secure settings by name. Changes are in memory until `save`."""

    def __init__(self, path: Path, values: Mapping[str, str], password: str = "") -> None:
        self.path = path
        self._values = dict(values)
        self._password = password

    @classmethod
    def create(cls, config_dir: Path, password: str = "") -> Keystore:
        """A new keystore with a seed, not yet saved. An existing file is untouched until then."""
        seed = "".join(secrets.choice(SEED_CHARACTERS) for _ in range(SEED_LENGTH))
        return cls(config_dir / FILE_NAME, {SEED: seed}, password)

    @classmethod
    def load(cls, config_dir: Path, password: str = "") -> Keystore | None:
        """The keystore of a config directory, None when there is none. Raises SettingsError, a wrong password too."""
        path = config_dir / FILE_NAME
        data = _read(path)
        if data is None:
            return None
        header, associated, hidden = _split(data, path)
        try:
            plain = AESGCM(_key(password, header)).decrypt(header.nonce, hidden, associated)
        except (InvalidTag, ValueError) as error:
            raise SettingsError(_wrong_password(path, password, header)) from error
        try:
            values = msgspec.json.decode(plain, type=dict[str, str])
        except msgspec.MsgspecError as error:
            raise SettingsError(f"the keystore [{path}] is damaged") from error
        return cls(path, values, password)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Keystore [{self.path}] of {len(self)} settings>"

    def set(self, name: str, value: str) -> None:
        if not _NAME.match(name):
            raise SettingsError(
                f"Setting name [{name}] does not match the allowed setting name pattern [{_NAME.pattern[1:-1]}]"
            )
        self._values[name] = value

    def remove(self, name: str) -> None:
        if name not in self._values:
            raise SettingsError(f"Setting [{name}] does not exist in the keystore.")
        del self._values[name]

    def change_password(self, password: str) -> None:
        self._password = password

    def save(self) -> None:
        """Writes the file; durable when it returns. Raises SettingsError naming the file."""
        cost = _COST if self._password else _COST_WITHOUT_PASSWORD
        header = _Header(secrets.token_bytes(16), secrets.token_bytes(12), cost, bool(self._password))
        associated = _MAGIC + msgspec.json.encode(header) + b"\n"
        plain = msgspec.json.encode(self._values)
        hidden = AESGCM(_key(self._password, header)).encrypt(header.nonce, plain, associated)
        try:
            _replace(self.path, associated + hidden)
        except OSError as error:
            raise SettingsError(f"cannot write the keystore [{self.path}]: {error.strerror}") from error


def has_password(config_dir: Path) -> bool:
    """True when the keystore of this directory opens only with a password; asks for none."""
    path = config_dir / FILE_NAME
    data = _read(path)
    return data is not None and _split(data, path)[0].has_password


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"cannot read the keystore [{path}]: {error.strerror}") from error
    if len(data) > FILE_BYTES_MAX:
        raise SettingsError(f"the keystore [{path}] is larger than {FILE_BYTES_MAX} bytes")
    return data


def _split(data: bytes, path: Path) -> tuple[_Header, bytes, bytes]:
    if data.startswith(_ELASTICSEARCH_MAGIC):
        raise SettingsError(
            f"the keystore [{path}] was written by Elasticsearch, whose format cannot be read; move it away, create a "
            f"new one and add its settings again"
        )
    end = data.find(b"\n", len(_MAGIC))
    if not data.startswith(_MAGIC) or end < 0:
        raise SettingsError(f"[{path}] is not a keystore")
    try:
        header = msgspec.json.decode(data[len(_MAGIC) : end], type=_Header)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"the keystore [{path}] is damaged") from error
    cost_is_power_of_two = header.cost > 1 and header.cost & (header.cost - 1) == 0
    if not cost_is_power_of_two or header.cost > _COST_MAX or len(header.nonce) != 12:
        raise SettingsError(f"the keystore [{path}] is damaged")
    return header, data[: end + 1], data[end + 1 :]


def _key(password: str, header: _Header) -> bytes:
    return Scrypt(salt=header.salt, length=32, n=header.cost, r=8, p=1).derive(password.encode())


def _wrong_password(path: Path, password: str, header: _Header) -> str:
    if header.has_password and not password:
        return f"the keystore [{path}] is password protected; pass the password in KEYSTORE_PASSWORD"
    return f"Provided keystore password was incorrect, or the keystore [{path}] is damaged"


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
