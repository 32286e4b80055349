"""Key, chain and own authorities as PEM files, for a program that reads nothing else (nats-server).

Such a program takes only unencrypted keys, so the key lies in a file of mode 0600 in a folder of mode 0700: whoever can
read it there could read the node's own key file as well. Only authorities that vouch for this node are written: the
transport may also trust those of other clusters, whose nodes have no business in this cluster's log.
Tests: tests/tls/test_pem_files.py.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization

from hanse.errors import SettingsError
from hanse.tls.contexts import TlsContexts
from hanse.tls.identity import own_authorities


class PemFiles(NamedTuple):
    key: Path
    certificate: Path
    authorities: Path


def write_pem_files(contexts: TlsContexts, folder: Path) -> PemFiles:
    """Writes the three files of what `contexts` hold now; each is complete or the old one."""
    material = contexts.key_material
    authorities = own_authorities(contexts.identity, contexts.trusted)
    if material is None or not authorities:
        raise SettingsError(
            f"no certificate in [{contexts.prefix}.certificate_authorities] vouches for this node's own certificate"
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    files = PemFiles(folder / "node.key", folder / "node.crt", folder / "authorities.crt")
    pem = serialization.Encoding.PEM
    key = material.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(files.key, key)
    write_private(files.certificate, b"".join(one.public_bytes(pem) for one in material.chain))
    write_private(files.authorities, b"".join(one.public_bytes(pem) for one in authorities))
    return files


def write_private(path: Path, content: bytes) -> None:
    """For its owner alone, from the first byte on."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
