"""How a batch lies in a stream: records of bounded size, each batch chained to the one before it by a hash.

A batch that is too long for one message is cut into pieces that follow one another. A batch's position is the stream
sequence of its last piece. Pieces whose last one never came (their writer died) are passed over. The hash covers the
hash before it, the term and the content, so a copy notices a batch that was changed, lost or put in by somebody else.
Tests: tests/cluster/jetstream/test_records.py.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from hanse.cluster.log import Batch
from hanse.errors import LogDamagedError

FORMAT = 1
HASH_BYTES = 16
OVERHEAD_BYTES = 4096
"""Left free in a message for headers and a record's own fields."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One message: piece `piece` of `pieces`. `previous` is the hash of the batch before, `hash` this batch's own."""

    format: int
    primary_term: int
    previous: bytes
    hash: bytes
    piece: int
    pieces: int
    content: bytes

    @property
    def is_last_piece(self) -> bool:
        return self.piece == self.pieces - 1


class Chained(NamedTuple):
    """A batch as it came out of the stream."""

    position: int
    batch: Batch
    hash: bytes


def chain_hash(previous: bytes, primary_term: int, content: bytes) -> bytes:
    digest = hashlib.blake2b(previous, digest_size=HASH_BYTES)
    digest.update(primary_term.to_bytes(8, "big"))
    digest.update(content)
    return digest.digest()


def encoded(batch: Batch, previous: bytes, piece_bytes: int) -> tuple[list[bytes], bytes]:
    """The messages of a batch, and its hash."""
    content = msgspec.msgpack.encode(batch)
    own = chain_hash(previous, batch.primary_term, content)
    pieces = [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
    records = [
        Record(FORMAT, batch.primary_term, previous, own, at, len(pieces), piece) for at, piece in enumerate(pieces)
    ]
    return [msgspec.msgpack.encode(record) for record in records], own


def decoded(data: bytes, sequence: int) -> Record:
    try:
        record = msgspec.msgpack.decode(data, type=Record)
    except msgspec.DecodeError as error:
        raise LogDamagedError(f"message [{sequence}] of the log is not a record of a batch: {error}") from error
    if record.format != FORMAT:
        raise LogDamagedError(f"message [{sequence}] of the log has format [{record.format}], expected [{FORMAT}]")
    return record


class Assembler:
    """Puts records together and verifies the chain. `chain` is the hash at the position before; None: not known."""

    def __init__(self, chain: bytes | None) -> None:
        self._chain = chain
        self._pieces: list[Record] = []

    def take(self, sequence: int, data: bytes) -> Chained | None:
        """The batch that this message completes. Raises LogDamagedError for one that does not belong here."""
        record = decoded(data, sequence)
        if record.piece == 0:
            self._pieces = [record]
        elif self._pieces and record.hash == self._pieces[0].hash and record.piece == len(self._pieces):
            self._pieces.append(record)
        else:
            raise LogDamagedError(f"message [{sequence}] of the log is a piece of a batch whose beginning is missing")
        if not record.is_last_piece:
            return None
        content = b"".join(piece.content for piece in self._pieces)
        self._pieces = []
        self._verify(sequence, record, content)
        self._chain = record.hash
        return Chained(sequence, msgspec.msgpack.decode(content, type=Batch), record.hash)

    def _verify(self, sequence: int, record: Record, content: bytes) -> None:
        if chain_hash(record.previous, record.primary_term, content) != record.hash:
            raise LogDamagedError(f"the batch at [{sequence}] of the log does not have the hash it was written with")
        if self._chain is not None and record.previous != self._chain:
            raise LogDamagedError(
                f"the batch at [{sequence}] of the log follows a batch with hash [{record.previous.hex()}], "
                f"but the batch before it has [{self._chain.hex()}]"
            )
