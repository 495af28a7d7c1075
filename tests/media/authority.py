"""Certificates as a company's own authority would make them, good ones and bad ones."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

KINDS: dict[str, str] = {"p256": "es256", "p384": "es384", "rsa": "ps256", "ed25519": "ed25519"}
"""Kinds of keys, and C2PA's name for what they sign with."""


@dataclass(frozen=True)
class Issued:
    certificate: Path
    key: Path
    root: Path


def issue(
    folder: Path,
    *,
    kind: str = "p256",
    begins: timedelta = timedelta(days=-10),
    ends: timedelta = timedelta(days=365),
    use: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    self_signed: bool = False,
    password: bytes | None = None,
) -> Issued:
    """A certificate, its key and its authority, written into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), _key(kind)
    root_name, name = _name("Example Root"), _name("Example Studio")
    issuer_key, issuer = (key, name) if self_signed else (root_key, root_name)
    root = (
        _draft(root_name, root_name, root_key, now - timedelta(days=20), now + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    draft = (
        _draft(name, issuer, key, now + begins, now + ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if use is not None:
        draft = draft.add_extension(_usage(ca=False), critical=True)
        draft = draft.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    leaf = draft.sign(issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    issued = Issued(folder / "chain.pem", folder / "key.pem", folder / "root.pem")
    issued.certificate.write_bytes(leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    secret = BestAvailableEncryption(password) if password else NoEncryption()
    issued.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))
    issued.root.write_bytes(root.public_bytes(Encoding.PEM))
    return issued


def _key(kind: str) -> Key:
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "k1": ec.SECP256K1()}[kind])


def _draft(name: x509.Name, issuer: x509.Name, key: Key, begins: datetime, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(not ca, False, False, False, False, ca, ca, False, False)
