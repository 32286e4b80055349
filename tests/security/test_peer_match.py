"""Who is a peer: certificates crafted to pass for another one do not."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.name import _ASN1Type
from hypothesis import given
from hypothesis import strategies as st

from hanse.errors import HanseError
from hanse.security.peer_match import parse_match
from hanse.tls.identity import PeerCertificate, is_of_same_authority, structured, structured_text

from .certificates import CN, OU, O, Party, name, seen


def matches(certificate: PeerCertificate, **match: Any) -> bool:
    return parse_match("munich", match).matches(certificate)


def by_issuer(certificate: PeerCertificate, text: str) -> bool:
    return matches(certificate, any=[{"issuer": text}])


def by_subject(certificate: PeerCertificate, text: str) -> bool:
    return matches(certificate, any=[{"subject": text}])


MUNICH = Party.authority(name("ca-munich"))
EVIL = Party.authority(name("ca-evil"))


class TestIssuer:
    def test_a_certificate_of_the_authority(self) -> None:
        certificate = seen(MUNICH.issue(name("node-1")), MUNICH, EVIL)
        assert by_issuer(certificate, "CN=ca-munich")
        assert by_issuer(certificate, " cn = CA-Munich ")
        assert not by_issuer(certificate, "CN=ca-evil")
        assert not by_issuer(certificate, "CN=ca-munich,O=Example")
        assert not by_issuer(certificate, "CN=ca-munich2")

    def test_through_intermediates_of_its_own(self) -> None:
        middle = MUNICH.issue(name("ca-munich-nodes"), is_authority=True)
        certificate = seen(middle.issue(name("node-1")), MUNICH, EVIL)
        assert by_issuer(certificate, "CN=ca-munich")
        assert by_issuer(certificate, "CN=ca-munich-nodes")

    def test_another_authority_cannot_take_the_name_for_one_below_it(self) -> None:
        false_munich = EVIL.issue(name("ca-munich"), is_authority=True)
        certificate = seen(false_munich.issue(name("node-1")), MUNICH, EVIL)
        assert certificate.issuer == "CN=ca-munich"
        assert not by_issuer(certificate, "CN=ca-munich")
        assert by_issuer(certificate, "CN=ca-evil")

    def test_the_name_in_another_spelling_is_still_the_authority(self) -> None:
        """OpenSSL builds the chain whatever the case; a peer must not leave its ceiling by writing its name large."""
        certificate = seen(MUNICH.issue(name("node-1"), by=name("CA-MUNICH")), MUNICH)
        assert certificate.issuer == "CN=CA-MUNICH"
        assert by_issuer(certificate, "CN=ca-munich")

    def test_a_pinned_certificate(self) -> None:
        alone = Party.authority(name("lonely"))
        assert by_issuer(seen(alone, alone), "CN=lonely")

    def test_what_nobody_verified_has_no_issuer(self) -> None:
        from cryptography.hazmat.primitives.serialization import Encoding

        from hanse.tls.identity import read_certificate

        unverified = read_certificate(MUNICH.issue(name("n")).certificate.public_bytes(Encoding.DER))
        assert unverified.issuer == "CN=ca-munich"
        assert not by_issuer(unverified, "CN=ca-munich")


CRAFTED = {
    "multi-valued": name([(CN, "ca-munich"), (OU, "x")]),
    "multi-valued beside": name([(OU, "x")], [(CN, "ca-munich"), (O, "y")]),
    "duplicate CN first": name("ca-munich", "evil"),
    "duplicate CN last": name("evil", "ca-munich"),
    "twice the same CN": name("ca-munich", "ca-munich"),
    "embedded NUL": name("ca-munich\0.evil"),
    "NUL at the end": name("ca-munich\0"),
    "an escaped comma": name("ca-munich,O=Example"),
    "an escaped plus": name("ca-munich+O=Example"),
    "an escaped equals sign": name("CN=ca-munich"),
    "in an other attribute": name([(O, "ca-munich")]),
    "a look-alike letter": name("ca-munıch"),
    "a soft hyphen": name("ca-mu\u00adnich"),
    "a wide letter": name("ｃa-munich"),
    "a non-breaking space": name("ca-munich\u00a0"),
    "more below": name([(O, "Example")], "ca-munich"),
}


class TestCraftedNames:
    @pytest.mark.parametrize("crafted", CRAFTED.values(), ids=CRAFTED)
    @pytest.mark.parametrize("wanted", ["CN=ca-munich", "CN=ca-munich\\,O\\=Example2", "O=Example2,CN=ca-munich"])
    def test_as_issuer_and_as_subject(self, crafted: x509.Name, wanted: str) -> None:
        impostor = Party.authority(crafted)
        assert not by_issuer(seen(impostor.issue(name("node")), impostor, MUNICH), wanted)
        assert not by_subject(seen(MUNICH.issue(crafted), impostor, MUNICH), wanted)

    def test_escapes_are_read(self) -> None:
        certificate = seen(MUNICH.issue(name("node,O=Example")), MUNICH)
        assert by_subject(certificate, "CN=node\\,O=Example")
        assert by_subject(certificate, "CN=node\\2cO=Example")
        assert not by_subject(certificate, "CN=node,O=Example")

    def test_the_order_of_values_in_one_part_does_not_count(self) -> None:
        certificate = seen(MUNICH.issue(name([(CN, "a"), (OU, "b")])), MUNICH)
        assert by_subject(certificate, "CN=a+OU=b")
        assert by_subject(certificate, "OU=b + CN=a")
        assert not by_subject(certificate, "CN=a,OU=b")

    def test_the_order_of_parts_does(self) -> None:
        certificate = seen(MUNICH.issue(name([(O, "Example")], "node")), MUNICH)
        assert certificate.subject == "CN=node,O=Example"
        assert by_subject(certificate, "CN=node, O=Example")
        assert not by_subject(certificate, "O=Example,CN=node")

    @given(
        st.lists(
            st.lists(
                st.tuples(st.sampled_from([CN, OU, O]), st.text('aAb,+=\\# \0"<>;é', min_size=1)),
                min_size=1,
                max_size=3,
                unique_by=lambda part: part[0],
            ),
            min_size=1,
            max_size=3,
        )
    )
    def test_a_name_read_from_its_own_text_is_itself(self, parts: Any) -> None:
        whole = name(*parts)
        if any(not value.strip() for part in parts for _, value in part):
            return  # nothing but white space: no name of anybody
        assert structured_text(whole.rfc4514_string()) == structured(whole)


class TestOtherCriteria:
    def test_san(self) -> None:
        certificate = seen(MUNICH.issue(name("n"), "node-1.Munich.example"), MUNICH)
        assert matches(certificate, any=[{"san": "*.munich.example"}])
        assert matches(certificate, any=[{"san": "node-1.munich.example"}])
        assert not matches(certificate, any=[{"san": "*.example.munich"}])
        assert not matches(certificate, any=[{"san": "munich.example"}])

    @pytest.mark.parametrize(
        "crafted", ["evil.example\0.munich.example", "a b.munich.example", "evil.example/.munich.example"]
    )
    def test_what_is_no_host_name_is_nobodys(self, crafted: str) -> None:
        certificate = seen(MUNICH.issue(name("n"), crafted), MUNICH)
        assert crafted in certificate.dns_names
        assert not matches(certificate, any=[{"san": "*.munich.example"}])

    def test_the_common_name_is_no_san(self) -> None:
        certificate = seen(MUNICH.issue(name("node.munich.example")), MUNICH)
        assert not matches(certificate, any=[{"san": "*.munich.example"}])

    def test_authorities_of_one_name_are_told_apart_by_their_fingerprint(self) -> None:
        twin = Party.authority(MUNICH.certificate.subject)
        certificate = seen(MUNICH.issue(name("node")), MUNICH, twin)
        told = certificate.anchor_sha256
        assert told == MUNICH.certificate.fingerprint(hashes.SHA256()).hex()
        assert matches(certificate, any=[{"issuer_fingerprint_sha256": told}])
        other = seen(twin.issue(name("node")), twin, MUNICH)
        assert not matches(other, any=[{"issuer_fingerprint_sha256": told}])
        assert not is_of_same_authority(other, [MUNICH.issue(name("own")).certificate], [MUNICH.certificate])

    def test_fingerprint_with_and_without_colons(self) -> None:
        certificate = seen(MUNICH.issue(name("n")), MUNICH)
        plain = certificate.fingerprint_sha256
        colons = ":".join(plain[at : at + 2] for at in range(0, 64, 2)).upper()
        assert matches(certificate, any=[{"fingerprint_sha256": plain}])
        assert matches(certificate, all=[{"fingerprint_sha256": colons}])
        assert not matches(certificate, any=[{"fingerprint_sha256": "0" * 64}])

    def test_any_and_all_together(self) -> None:
        certificate = seen(MUNICH.issue(name("n"), "a.munich.example"), MUNICH)
        right, wrong = {"issuer": "CN=ca-munich"}, {"issuer": "CN=ca-evil"}
        san = {"san": "*.munich.example"}
        assert matches(certificate, any=[wrong, right], all=[san])
        assert not matches(certificate, any=[wrong], all=[san])
        assert not matches(certificate, any=[right], all=[san, wrong])
        assert matches(certificate, all=[right, san])


LEAVES = st.none() | st.booleans() | st.integers() | st.text()
KEYS = st.sampled_from(["any", "all", "issuer", "subject", "san", "fingerprint_sha256", "x"])


class TestDefinitions:
    @pytest.mark.parametrize(
        ("match", "says"),
        [
            (None, "[match] is missing or no object"),
            ([], "[match] is missing or no object"),
            ({}, "[match] names no criterion"),
            ({"any": []}, "[match.any] must be an array with one criterion at least"),
            ({"some": []}, "unexpected field [match.some]"),
            ({"any": [{}]}, "exactly one of [issuer, subject, san, fingerprint_sha256, issuer_fingerprint_sha256]"),
            ({"any": [{"issuer": "CN=a", "san": "b"}]}, "exactly one of"),
            ({"any": [{"isuer": "CN=a"}]}, "unexpected field [match.any.isuer]"),
            ({"any": [{"issuer": 7}]}, "[match.any.issuer] must be a string"),
            ({"any": [{"issuer": "ca-munich"}]}, "[match.any.issuer] [ca-munich] is not a distinguished name"),
            ({"any": [{"subject": "XYZ=a"}]}, "is not a distinguished name"),
            ({"all": [{"san": "*"}]}, "would match every name"),
            ({"all": [{"san": "a b"}]}, "is not a host name"),
            ({"all": [{"san": "/.*/"}]}, "is not a host name"),
            ({"all": [{"fingerprint_sha256": "ab:cd"}]}, "is not a SHA-256 fingerprint"),
        ],
    )
    def test_what_is_wrong_is_said(self, match: Any, says: str) -> None:
        with pytest.raises(HanseError) as caught:
            parse_match("munich", match)
        assert caught.value.status == 400
        assert caught.value.reason.startswith("failed to parse remote peer [munich]. ")
        assert says in caught.value.reason

    @given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
    def test_nothing_else_than_a_400_comes_out(self, match: Any) -> None:
        try:
            parse_match("munich", match)
        except HanseError as error:
            status = error.status
        else:
            status = 400
        assert status == 400


def test_an_untrusted_authority_does_not_get_this_far() -> None:
    with pytest.raises(ssl.SSLError):
        seen(EVIL.issue(name("n")), MUNICH)


def test_whether_a_certificate_comes_from_the_own_authority() -> None:
    anchors = [MUNICH.certificate, EVIL.certificate]
    own = MUNICH.issue(name("own"))
    assert is_of_same_authority(seen(MUNICH.issue(name("n")), MUNICH, EVIL), [own.certificate], anchors)
    assert not is_of_same_authority(seen(EVIL.issue(name("n")), MUNICH, EVIL), [own.certificate], anchors)
    false_munich = EVIL.issue(name("ca-munich"), is_authority=True)
    false_node = seen(false_munich.issue(name("n")), MUNICH, EVIL)
    assert not is_of_same_authority(false_node, [own.certificate], anchors)


def typed(*parts: tuple[Any, str, Any]) -> x509.Name:
    """A name of one value a part, each written as that ASN.1 type."""
    return x509.Name([x509.NameAttribute(oid, value, _type=kind, _validate=False) for oid, value, kind in parts])


STRING_TYPES = [
    _ASN1Type.UTF8String,
    _ASN1Type.PrintableString,
    _ASN1Type.BMPString,
    _ASN1Type.UniversalString,
    _ASN1Type.T61String,
    _ASN1Type.IA5String,
]


class TestStringTypes:
    """RFC 5280 7.1: names are compared by their values, however these are written."""

    @pytest.mark.parametrize("kind", STRING_TYPES, ids=lambda kind: kind.name)
    def test_the_same_letters_are_the_same_name(self, kind: Any) -> None:
        certificate = seen(MUNICH.issue(typed((O, "Example", kind), (CN, "ca-munich", kind))), MUNICH)
        assert by_subject(certificate, "CN=ca-munich,O=Example"), certificate.subject
        assert not by_subject(certificate, "CN=ca-munich")

    @pytest.mark.parametrize("kind", STRING_TYPES, ids=lambda kind: kind.name)
    def test_an_authority_does_not_leave_its_ceiling_by_another_type(self, kind: Any) -> None:
        authority = Party.authority(typed((CN, "ca-typed", kind)))
        for by in (None, name("ca-typed")):  # OpenSSL builds the chain by value, too
            certificate = seen(authority.issue(name("node"), by=by), authority, MUNICH)
            assert by_issuer(certificate, "CN=ca-typed")
            assert not by_issuer(certificate, "CN=ca-munich")

    @pytest.mark.parametrize("kind", STRING_TYPES, ids=lambda kind: kind.name)
    @pytest.mark.parametrize("crafted", ["ca-munich\0", "\0c\0a", "ca-munich\0.evil", "ca\u2010munich", "ca-münich"])
    def test_no_type_makes_other_letters_the_same(self, kind: Any, crafted: str) -> None:
        try:
            certificate = seen(MUNICH.issue(typed((CN, crafted, kind))), MUNICH)
        except (ssl.SSLError, ValueError, UnicodeError, AssertionError):
            return  # cannot be written in that type, or is refused
        assert not by_subject(certificate, "CN=ca-munich")
        assert not by_subject(certificate, "CN=ca")

    def test_bytes_of_one_type_read_as_another_are_another_name(self) -> None:
        """`ca-munich` in BMPString is `\\0c\\0a…` in bytes: a type that lies must not make it so in any direction."""
        doubled = "ca-munich".encode("utf-16-be").decode("latin-1")
        for kind in (_ASN1Type.UTF8String, _ASN1Type.T61String, _ASN1Type.IA5String):
            try:
                certificate = seen(MUNICH.issue(typed((CN, doubled, kind))), MUNICH)
            except (ssl.SSLError, ValueError, UnicodeError):
                continue
            assert not by_subject(certificate, "CN=ca-munich")
