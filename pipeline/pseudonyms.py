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
from pathlib import Path

KEY_BYTES = 32
KEY_FILE_VARIABLE = "RWE_KEY_FILE"
DEFAULT_KEY_FILE = Path("~/.config/rwe/pseudonym.key")
PSEUDONYM_LENGTH = 26  # base32 characters: 130 bits


def key_file() -> Path:
    """Where the key lies: the variable RWE_KEY_FILE, or ~/.config/rwe/pseudonym.key."""
    return Path(os.environ.get(KEY_FILE_VARIABLE) or DEFAULT_KEY_FILE).expanduser()


def load_key() -> bytes:
    """Return the key, made on first use with mode 0600.

    Raises ValueError if the file holds fewer than 32 bytes.
    """
    path = key_file()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_bytes(KEY_BYTES))
    key = path.read_bytes()
    if len(key) < KEY_BYTES:
        raise ValueError(
            f"the pseudonym key {path} holds {len(key)} bytes, {KEY_BYTES} are needed; "
            f"restore it from its copy, or remove it to start with new pseudonyms"
        )
    return key


def pseudonym(site_code: str, patient_number: str, key: bytes) -> str:
    """Return the pseudonym of one patient of one hospital: 26 lower-case base32 characters."""
    digest = hmac.new(key, f"{site_code}|{patient_number}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:PSEUDONYM_LENGTH]
