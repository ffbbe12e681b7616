import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud_sync.errors import ConfigurationError
from cloud_sync.pki.authority import Authority, Issued, Validity, install
from edge_codecs.identifiers import GatewayId

GATEWAY = GatewayId.parse("00800000a0001234")
NOW = datetime.now(UTC)
PAST = Validity(NOW - timedelta(days=20), NOW - timedelta(days=10))
FUTURE = Validity(NOW + timedelta(days=10), NOW + timedelta(days=20))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca")


def request(
    name: str = str(GATEWAY),
    *more: x509.NameAttribute,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | None = None,
) -> bytes:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), *more])
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    signed = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)
    return signed.public_bytes(Encoding.PEM)


def gateway(authority: Authority, validity: Validity | None = None) -> Issued:
    """With its own key, as only the gateway itself has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Issued(authority.issue_gateway(request(key=key), GATEWAY, validity), pem)


def handshake(
    folder: Path, authority: Authority, server: Issued, client: Issued, host: str = "localhost"
) -> str:
    """TLS 1.3 with certificates on both sides, in memory; returns the CN that the server saw."""
    ca = folder / "trusted.crt"
    ca.write_bytes(authority.certificate)
    contexts = []
    for name, protocol, issued in (
        ("server", ssl.PROTOCOL_TLS_SERVER, server),
        ("client", ssl.PROTOCOL_TLS_CLIENT, client),
    ):
        install(issued, folder / f"{name}.crt", folder / f"{name}.key")
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        context.load_verify_locations(ca)
        context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
        contexts.append(context)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = contexts[0].wrap_bio(up, down, server_side=True)
    theirs = contexts[1].wrap_bio(down, up, server_hostname=host)
    open_ends = [theirs, ours]
    for _ in range(10):
        for end in list(open_ends):
            try:
                end.do_handshake()
                open_ends.remove(end)
            except ssl.SSLWantReadError:
                pass
        if not open_ends:
            subject = dict(pair[0] for pair in ours.getpeercert()["subject"])
            return subject["commonName"]
    raise AssertionError("the handshake does not end")


class TestAuthority:
    def test_key_is_private_and_certificate_public(self, tmp_path: Path) -> None:
        Authority.create(tmp_path / "ca")
        modes = {f.name: stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "ca").iterdir()}
        assert modes["ca.key"] == 0o600
        assert modes["ca.crt"] & 0o044 == 0o044
        assert set(modes) == {"ca.key", "ca.crt"}

    def test_is_loaded_as_it_was_made(self, tmp_path: Path) -> None:
        made = Authority.create(tmp_path)
        loaded = Authority.load(tmp_path)
        assert loaded.certificate == made.certificate
        assert handshake(tmp_path, made, loaded.issue_server(), gateway(loaded)) == str(GATEWAY)

    def test_a_second_one_is_refused(self, tmp_path: Path) -> None:
        Authority.create(tmp_path)
        before = (tmp_path / "ca.key").read_bytes()
        with pytest.raises(ConfigurationError, match="there is an authority already"):
            Authority.create(tmp_path)
        (tmp_path / "ca.crt").unlink()
        with pytest.raises(ConfigurationError, match="there is an authority already"):
            Authority.create(tmp_path)
        assert (tmp_path / "ca.key").read_bytes() == before

    def test_may_sign_no_authority_below_it(self, authority: Authority) -> None:
        certificate = x509.load_pem_x509_certificate(authority.certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical
        assert (constraints.value.ca, constraints.value.path_length) == (True, 0)

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"authority's key is missing") as caught:
            Authority.load(tmp_path)
        assert "cloud-sync ca init" in caught.value.hint

    def test_key_that_others_may_read(self, tmp_path: Path) -> None:
        Authority.create(tmp_path)
        (tmp_path / "ca.key").chmod(0o640)
        with pytest.raises(ConfigurationError, match="others may read") as caught:
            Authority.load(tmp_path)
        assert caught.value.hint == f"chmod 600 {tmp_path / 'ca.key'}"

    @pytest.mark.parametrize(
        "content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
    )
    @pytest.mark.parametrize("name", ["ca.key", "ca.crt"])
    def test_broken_file(self, tmp_path: Path, name: str, content: bytes) -> None:
        Authority.create(tmp_path)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigurationError, match=name):
            Authority.load(tmp_path)

    def test_encrypted_key(self, tmp_path: Path) -> None:
        Authority.create(tmp_path)
        encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, _password()
        )
        (tmp_path / "ca.key").write_bytes(encrypted)
        with pytest.raises(ConfigurationError, match="not an unencrypted EC key"):
            Authority.load(tmp_path)

    def test_files_of_two_authorities(self, tmp_path: Path) -> None:
        Authority.create(tmp_path / "a")
        Authority.create(tmp_path / "b")
        (tmp_path / "b" / "ca.crt").replace(tmp_path / "a" / "ca.crt")
        with pytest.raises(ConfigurationError, match="not a pair"):
            Authority.load(tmp_path / "a")

    def test_nothing_holds_longer_than_it(self, tmp_path: Path) -> None:
        authority = Authority.create(tmp_path, Validity.days(30))
        issued = x509.load_pem_x509_certificate(authority.issue_server().certificate)
        own = x509.load_pem_x509_certificate(authority.certificate)
        assert issued.not_valid_after_utc == own.not_valid_after_utc

    def test_one_that_has_ended_says_so(self, tmp_path: Path) -> None:
        authority = Authority.create(tmp_path, PAST)
        with pytest.raises(ConfigurationError, match=r"authority's certificate ended on \d{4}-\d\d-\d\d"):
            authority.issue_receiver()


def _password():
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

    return BestAvailableEncryption(b"sesame")


class TestIssued:
    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1", "broker.example.org", "192.0.2.7", "2001:db8::7"]
    )
    def test_server_holds_for_its_names_and_this_machine(
        self, tmp_path: Path, authority: Authority, host: str
    ) -> None:
        server = authority.issue_server(["Broker.example.org", "192.0.2.7", "2001:db8::7", "localhost"])
        assert handshake(tmp_path, authority, server, authority.issue_receiver(), host) == "receiver"

    def test_server_holds_for_no_other_name(self, tmp_path: Path, authority: Authority) -> None:
        server = authority.issue_server(["broker.example.org"])
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            handshake(tmp_path, authority, server, gateway(authority), "www.example.org")

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "*.example.org",
            "a b",
            "a..b",
            "-a",
            "a-",
            ".a",
            "a.",
            "bücher.example",
            "a/b",
            "x" * 64,
            "a." * 130,
            "broker.example.org\n",
            "127.0.0.1/8",
        ],
    )
    def test_server_of_a_name_that_is_none(self, authority: Authority, name: str) -> None:
        with pytest.raises(ConfigurationError, match="neither a host name nor an address"):
            authority.issue_server([name])

    def test_of_another_authority(self, tmp_path: Path, authority: Authority) -> None:
        other = Authority.create(tmp_path / "other")
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, authority, other.issue_server(), gateway(authority))
        with pytest.raises(ssl.SSLError):
            handshake(tmp_path, authority, authority.issue_server(), gateway(other))

    @pytest.mark.parametrize(("validity", "reason"), [(PAST, "expired"), (FUTURE, "not yet valid")])
    def test_holds_only_in_its_time(
        self, tmp_path: Path, authority: Authority, validity: Validity, reason: str
    ) -> None:
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            handshake(tmp_path, authority, authority.issue_server((), validity), gateway(authority))
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            handshake(tmp_path, authority, authority.issue_server(), gateway(authority, validity))
        with pytest.raises(ssl.SSLCertVerificationError, match=reason):
            handshake(tmp_path, authority, authority.issue_server(), authority.issue_receiver(validity))

    def test_server_is_no_client_and_client_no_server(self, tmp_path: Path, authority: Authority) -> None:
        server, receiver = authority.issue_server(), authority.issue_receiver()
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            handshake(tmp_path, authority, server, server)
        with pytest.raises(ssl.SSLCertVerificationError, match="purpose"):
            handshake(tmp_path, authority, receiver, receiver)

    def test_each_serial_number_is_another_and_the_key_too(self, authority: Authority) -> None:
        issued = [authority.issue_receiver() for _ in range(5)]
        certificates = [x509.load_pem_x509_certificate(one.certificate) for one in issued]
        assert len({c.serial_number for c in certificates}) == 5
        assert len({one.key for one in issued}) == 5
        assert all(c.serial_number.bit_length() > 64 for c in certificates)

    def test_does_not_print_its_key(self, authority: Authority) -> None:
        issued = authority.issue_receiver()
        assert "PRIVATE KEY" not in f"{issued!r} {issued}"

    def test_is_installed_in_place_of_an_older_one(self, tmp_path: Path, authority: Authority) -> None:
        certificate, key = tmp_path / "new" / "receiver.crt", tmp_path / "new" / "receiver.key"
        install(authority.issue_receiver(), certificate, key)
        renewed = authority.issue_receiver()
        install(renewed, certificate, key)
        assert (certificate.read_bytes(), key.read_bytes()) == (renewed.certificate, renewed.key)
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert {file.name for file in certificate.parent.iterdir()} == {"receiver.crt", "receiver.key"}


class TestGatewayRequest:
    def test_takes_over_nothing_but_the_key(self, authority: Authority) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        wish = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(GATEWAY))]))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("broker.example.org")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        certificate = x509.load_pem_x509_certificate(
            authority.issue_gateway(wish.public_bytes(Encoding.PEM), GATEWAY)
        )
        assert certificate.public_key() == key.public_key()
        assert certificate.subject.rfc4514_string() == f"CN={GATEWAY}"
        extensions = {type(extension.value): extension.value for extension in certificate.extensions}
        assert not extensions[x509.BasicConstraints].ca
        assert x509.SubjectAlternativeName not in extensions
        assert list(extensions[x509.ExtendedKeyUsage]) == [ExtendedKeyUsageOID.CLIENT_AUTH]

    @pytest.mark.parametrize(
        "name",
        [
            "00800000a0001235",
            "00800000A0001234",
            "00-80-00-00-a0-00-12-34",
            "receiver",
            "#",
            "+",
            "a/b",
            f"{GATEWAY} ",
            f"{GATEWAY}/up",
        ],
    )
    def test_for_another_name(self, authority: Authority, name: str) -> None:
        with pytest.raises(ConfigurationError, match=f"not for CN {GATEWAY} alone"):
            authority.issue_gateway(request(name), GATEWAY)

    def test_for_a_second_name_beside(self, authority: Authority) -> None:
        for more in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
            with pytest.raises(ConfigurationError, match="alone"):
                authority.issue_gateway(request(str(GATEWAY), x509.NameAttribute(more, "receiver")), GATEWAY)

    @pytest.mark.parametrize(
        "key",
        [
            ec.generate_private_key(ec.SECP384R1()),
            ed25519.Ed25519PrivateKey.generate(),
            rsa.generate_private_key(65537, 2048),
        ],
    )
    def test_for_another_kind_of_key(self, authority: Authority, key: ec.EllipticCurvePrivateKey) -> None:
        with pytest.raises(ConfigurationError, match="not for a P-256 key"):
            authority.issue_gateway(request(key=key), GATEWAY)

    def test_not_signed_by_its_own_key(self, authority: Authority) -> None:
        signed = x509.load_pem_x509_csr(request())
        body = bytearray(signed.public_bytes(Encoding.DER))
        body[-1] ^= 1
        forged = x509.load_der_x509_csr(bytes(body)).public_bytes(Encoding.PEM)
        with pytest.raises(ConfigurationError, match="not signed by its own key"):
            authority.issue_gateway(forged, GATEWAY)

    @pytest.mark.parametrize(
        "pem", [b"", b"hello", b"\xff\x00", b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"]
    )
    def test_not_one_at_all(self, authority: Authority, pem: bytes) -> None:
        with pytest.raises(ConfigurationError, match="not PKCS #10"):
            authority.issue_gateway(pem, GATEWAY)

    def test_a_certificate_is_none(self, authority: Authority) -> None:
        with pytest.raises(ConfigurationError, match="not PKCS #10"):
            authority.issue_gateway(authority.certificate, GATEWAY)
