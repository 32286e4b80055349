"""Which certificates are of this cluster's own nodes."""

from __future__ import annotations

import msgspec
from cryptography import x509

from hanse.tls.identity import PeerCertificate, fingerprint
from hanse.tls.own_authority import OwnAuthority

from .conftest import Place
from .test_certificate_words import certificate


def proven(place: Place, authority: str) -> PeerCertificate:
    """A certificate that was verified under that authority."""
    anchor = x509.load_pem_x509_certificate(place.authority(authority).certificate_pem)
    return msgspec.structs.replace(certificate(), proven_fingerprints=(fingerprint(anchor),))


def test_only_the_authority_of_the_own_certificate_vouches_though_others_are_trusted(place: Place) -> None:
    own = OwnAuthority(place.node("berlin", "own", "own", "munich"))
    assert own.is_verified
    assert own.vouches_for(proven(place, "own"))
    assert own.admits(proven(place, "own"))
    assert not own.vouches_for(proven(place, "munich"))
    assert not own.admits(proven(place, "munich"))
    assert not own.admits(None)


def test_an_answer_does_not_outlive_the_certificates_it_was_given_under(place: Place) -> None:
    contexts = place.node("berlin", "old", "old", "new")
    own = OwnAuthority(contexts)
    assert own.vouches_for(proven(place, "old"))
    assert not own.vouches_for(proven(place, "new"))
    place.write("berlin", "new")
    contexts.reload()
    assert not own.vouches_for(proven(place, "old"))
    assert own.vouches_for(proven(place, "new"))


def test_nodes_that_do_not_verify_one_another_admit_everybody(place: Place) -> None:
    assert OwnAuthority(place.node("berlin", "own", verification_mode="none")).admits(None)
    without_security = OwnAuthority(None)
    assert without_security.admits(None)
    assert not without_security.vouches_for(proven(place, "own"))
