"""Where certutil writes: the file that must not exist yet, its password, and the zip or PKCS#12 file itself.

Files are the owner's alone from the first byte, also inside a zip. Nothing is overwritten, no link is followed.
Tests: tests/cli/test_certutil.py.
"""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import click

from hanse.cli.terminal import CONFIG, IO_ERROR, OWNER_ONLY, USAGE, Failure, ask, confirm, new_secret, secret

PASSWORD_CHARS_WARNED = 50
ASK = "\0ask"
"""What `--pass` without a value gives."""


def target_file(out: Path | None, default: str) -> Path:
    """The file to write, asked for when no `--out` names it. It does not exist, its folder does or may be made."""
    if out is None:
        proposed = Path(default).absolute()
        out = Path(ask(f"Please enter the desired output file [{proposed}]: ", str(proposed)))
    target = out.expanduser().absolute()
    if target.exists() or target.is_symlink():
        raise Failure(f"Output file '{target}' already exists", IO_ERROR)
    if not target.parent.exists():
        if not confirm(f"Directory {target.parent} does not exist. Do you want to create it?"):
            raise Failure(f"Output directory '{target.parent}' does not exist", IO_ERROR)
        try:
            target.parent.mkdir(parents=True)
        except OSError as error:
            raise Failure(f"cannot create '{target.parent}': {error.strerror}", IO_ERROR) from error
    return target


def store_password(given: str | None, name: str) -> str:
    """The password of a PKCS#12 file: the one given, else asked for. Empty: none."""
    password = secret(f"Enter password for {name} : ") if given is None or given == ASK else given
    return _acceptable(password, ascii_only=True)


def key_password(given: str | None) -> bytes | None:
    """The password of PEM keys: only when `--pass` asks for one."""
    if given is None:
        return None
    password = (
        new_secret("Enter password for the private key : ", "Repeat password to confirm: ", "Passwords do not match")
        if given == ASK
        else given
    )
    return _acceptable(password, ascii_only=False).encode() or None


def _acceptable(password: str, *, ascii_only: bool) -> str:
    if ascii_only and not password.isascii():
        raise Failure("PKCS#12 passwords must be plain ASCII", CONFIG)
    if len(password) > PASSWORD_CHARS_WARNED:
        click.echo(
            "Warning: Your password exceeds 50 characters. Versions of OpenSSL older than 1.1.0 may not be able to "
            "read this file.",
            err=True,
        )
    return password


def readable(path: Path) -> bytes:
    """The content of a file that an option names."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"cannot read [{path}]: {error.strerror}", USAGE) from error


def write_private(target: Path, content: bytes) -> None:
    """A new file that only its owner reads."""
    try:
        # O_EXCL: a file that came to be meanwhile is not overwritten, nor is a link followed
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY)
    except FileExistsError as error:
        raise Failure(f"Output file '{target}' already exists", IO_ERROR) from error
    except OSError as error:
        raise Failure(f"cannot write '{target}': {error.strerror}", IO_ERROR) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise Failure(f"cannot write '{target}': {error.strerror}", IO_ERROR) from error


def zip_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip with an entry for each folder, with the modes that unzip gives: keys are the owner's alone."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        folders: set[str] = set()
        for name, data in files:
            parts = name.split("/")[:-1]
            for depth in range(1, len(parts) + 1):
                folder = "/".join(parts[:depth]) + "/"
                if folder not in folders:
                    folders.add(folder)
                    bundle.writestr(_entry(folder, 0o40700), b"")
            bundle.writestr(_entry(name, 0o100600), data)
    return content.getvalue()


def _entry(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, time.localtime()[:6])
    entry.external_attr = mode << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
