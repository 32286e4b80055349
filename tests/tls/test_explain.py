"""Faults of ssl and sockets as sentences."""

from __future__ import annotations

import ssl

import pytest

from hanse.tls.explain import View, explain
from hanse.tls.faults import Fault, PlaintextError, fault_of, looks_like_http, looks_like_tls
from hanse.tls.handshake import connection_lost_sentence


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] words")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "fault", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", Fault.OWN_MISSING, "this node presented none; set"),
        ("TLSV1_ALERT_UNKNOWN_CA", Fault.OWN_UNKNOWN_AUTHORITY, "does not trust the authority that signed"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", Fault.OWN_EXPIRED, "because it has expired; renew"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", Fault.OWN_WRONG_USE, "needs both serverAuth and clientAuth"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", Fault.NO_COMMON_VERSION, "[xpack.security.transport.ssl.supported_protocols]"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", Fault.NO_COMMON_CIPHER, "[xpack.security.transport.ssl.cipher_suites]"),
        ("WRONG_VERSION_NUMBER", Fault.PLAINTEXT, "does not speak TLS on that port"),
        ("TLSV1_ALERT_DECRYPT_ERROR", Fault.WRONG_KEY, "a signature does not fit its certificate"),
        ("SOMETHING_NEW", Fault.OTHER, "TLS failed: something new"),
    ],
)
def test_each_alert_has_words_that_mend(reason: str, fault: Fault, words: str) -> None:
    error = alert(reason)
    assert fault_of(error) is fault
    assert words in explain(error, View(peer="10.0.0.1:9300"))
    assert "[10.0.0.1:9300]" in explain(error, View(peer="10.0.0.1:9300"))


def test_every_fault_has_a_sentence_from_both_sides() -> None:
    samples = [alert(reason) for reason in ("HTTP_REQUEST", "WRONG_VERSION_NUMBER", "TLSV1_ALERT_UNKNOWN_CA")]
    for error in [*samples, ConnectionResetError(), TimeoutError(), PlaintextError(b"GET / "), None]:
        for is_dialling in (True, False):
            sentence = explain(error, View(peer="[::1]:9300", is_dialling=is_dialling))
            assert "\n" not in sentence
            assert len(sentence) > 30


def test_the_end_of_an_open_connection() -> None:
    assert connection_lost_sentence(None) == "the other side closed the connection"
    assert connection_lost_sentence(ConnectionResetError()) == "the connection was reset by the other side"
    assert connection_lost_sentence(TimeoutError()) == "the network gave no answer in time"
    assert "presented none" in connection_lost_sentence(alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"))


def test_first_bytes() -> None:
    assert looks_like_tls(b"\x16\x03\x01\x02\x00")
    assert looks_like_tls(b"\x15\x03\x03")
    assert looks_like_tls(b"\x16")
    assert not looks_like_tls(b"GET / HTTP/1.1")
    assert not looks_like_tls(b"\x00\x00\x00\x10")
    assert looks_like_http(b"POST /_bulk HTTP/1.1")
    assert not looks_like_http(b"GETAWAY")
