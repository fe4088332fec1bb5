"""Signed notes (C2SP signed-note): a text, an empty line, and signature lines. Ed25519 only. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from rynxs.eventlog.error import BadNote
from rynxs.eventlog.key import Signer, TrustedKey, fits, key_id

_DASH = "— "
_MAX_SIGNATURES = 100


def sign(text: str, signer: Signer) -> bytes:
    """The note of a text that ends with a newline."""
    signature = base64.b64encode(signer.id + signer.sign(text.encode())).decode()
    return f"{text}\n{_DASH}{signer.name} {signature}\n".encode()


def text_of(note: bytes) -> str:
    """The text of a note whose signatures nobody looked at. Raises BadNote."""
    return _split(note)[0]


def open_note(note: bytes, keys: Iterable[TrustedKey]) -> str:
    """The text of a note that at least one of the keys signed; signatures of unknown keys are ignored.

    Raises BadNote, also when one of the keys' signatures does not fit.
    """
    text, signatures = _split(note)
    known = {(key.name, key_id(key.name, key.public)): key for key in keys}
    signed = False
    for name, blob in signatures:
        key = known.get((name, blob[:4]))
        if key is None:
            continue
        if not fits(key.public, text.encode(), blob[4:]):
            raise BadNote(f"the signature of key {name} does not fit the note's text")
        signed = True
    if not signed:
        raise BadNote("no trusted key signed the note")
    return text


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise BadNote("it is not a signed note: it is not UTF-8") from error
    text, separator, tail = whole.rpartition("\n\n")
    if not separator or not tail.endswith("\n") or any(c < " " and c != "\n" for c in whole):
        raise BadNote("it is not a signed note: it has no signature lines, or control characters")
    lines = tail[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise BadNote("it is not a signed note: it has too many signature lines")
    return text + "\n", [_signature(line) for line in lines]


def _signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        blob = b""
    if not line.startswith(_DASH) or not name or len(blob) < 5:
        raise BadNote("it is not a signed note: a signature line is malformed")
    return name, blob
