"""Keys and clients for tests of authentication."""

from __future__ import annotations

from pathlib import Path

KEY = "alice-0123456789abcdef"
FILES_ONLY = "files-0123456789abcdef"
REALTIME_ONLY = "realtime-0123456789abcdef"
KEYS = f"""
alice {KEY}
files {FILES_ONLY} stt:transcribe
realtime {REALTIME_ONLY} stt:realtime
"""


def write_keys(path: Path, text: str = KEYS) -> Path:
    """Replace a file of keys at once, as editors and Kubernetes do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    return new.rename(path)


def bearer(key: str) -> str:
    """Return the header Authorization for a key."""
    return f"Bearer {key}"
