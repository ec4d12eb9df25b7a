"""Keyed pseudonyms: the hospital's patient number never leaves the loader.

`patient_key` is HMAC-SHA-256 of the hospital's code and its patient number under a secret key that
lies outside the repository and the warehouse. Whoever lacks the key cannot recompute a pseudonym
from a number, and the same key gives the same pseudonyms from one delivery to the next: keep it,
and keep it secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path

from pipeline.errors import CommandError, Exit
from pipeline.paths import PROJECT

KEY_BYTES = 32
KEY_FILE_VARIABLE = "RWE_KEY_FILE"
DEFAULT_KEY_FILE = Path("~/.config/rwe/pseudonym.key")
KEY_ID_LENGTH = 12
PSEUDONYM_LENGTH = 26  # base32 characters: 130 bits


def key_file() -> Path:
    """Where the key lies: the variable RWE_KEY_FILE, or ~/.config/rwe/pseudonym.key."""
    return Path(os.environ.get(KEY_FILE_VARIABLE) or DEFAULT_KEY_FILE).expanduser()


def load_key() -> bytes:
    """Return the key; only `require_key` makes one.

    Raises CommandError if it is missing, too short, or can be read by others.
    """
    path = key_file()
    if not path.exists():
        raise _refused("is missing", "restore it from its copy, or name another in RWE_KEY_FILE")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _refused("may be read by others than its owner", f"forbid it: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise _refused(
            f"holds {len(key)} bytes, {KEY_BYTES} are needed",
            "restore it from its copy, or remove it to start with new pseudonyms",
        )
    return key


def require_key(last_id: str | None, *folders: Path) -> str:
    """Return the id of the key, made on first use with mode 0600; the id does not tell the key.

    Raises CommandError as `load_key` does, and if the key is gone with which `last_id` was made, or
    lies in the repository or in one of the folders that it must not be found with.
    """
    path = key_file()
    if last_id is not None and not path.exists():
        raise _refused(
            f"is missing; the pseudonyms of this warehouse were made with the key {last_id}",
            "restore it from its copy; for new pseudonyms begin with a new --work folder",
        )
    for folder in folders:
        if path.resolve().is_relative_to(folder):
            raise _refused(f"lies within {folder}", "keep it apart from the data")
    if path.resolve().is_relative_to(PROJECT):
        raise _refused(f"lies within {PROJECT}", "move it elsewhere and name it in RWE_KEY_FILE")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
    return key_id(load_key())


def key_id(key: bytes) -> str:
    """Name a key without telling it."""
    return hmac.new(key, b"key id", hashlib.sha256).hexdigest()[:KEY_ID_LENGTH]


def erasure_digest(patient_key: str, key: bytes) -> str:
    """Return what the ledger keeps of a patient who was erased; without the key it names nobody."""
    return hmac.new(key, f"erased|{patient_key}".encode(), hashlib.sha256).hexdigest()


def _refused(found: str, remedy: str) -> CommandError:
    return CommandError(f"The pseudonym key {key_file()} {found}; {remedy}.", Exit.SECURITY)


def pseudonym(site_code: str, patient_number: str, key: bytes) -> str:
    """Return the pseudonym of one patient of one hospital: 26 lower-case base32 characters."""
    digest = hmac.new(key, f"{site_code}|{patient_number}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:PSEUDONYM_LENGTH]
