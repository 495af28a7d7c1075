"""The certificate that manifests are signed with: made here on first use, or the user's own.

Ours is a chain of two: a root that signs once and whose key is then forgotten, and an end-entity certificate as C2PA
demands it (ES256, digital signature, e-mail protection). Key and chain lie in one file, so that two processes that
make it at the same time end with one: whoever comes second finds the link taken and uses what is there.

Nobody else trusts it, and nobody should: it proves that a file was not changed since this installation signed it, no
more. Source: C2PA specification 2.2, section 14.5 (certificate profile), read 2026-11-20.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rushes.errors import ConfigError
from rushes.media.disk import beside, disk_error, make_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate, KeyUsage, Name

LOCAL_NAME = "local.pem"
LIFE = timedelta(days=25 * 365)
"""Long, because without a timestamp authority a signature counts only as long as its certificate."""
CLOCK_SLACK = timedelta(minutes=5)
ORGANIZATION = "rushes (this installation)"
EKU_DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
EKU_EMAIL = "1.3.6.1.5.5.7.3.4"
EKU_C2PA = "1.3.6.1.4.1.62558.2.1"
ALLOWED_USES = (EKU_EMAIL, EKU_DOCUMENT_SIGNING, EKU_C2PA)

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a signing needs. The key itself stays in its file: only the process that signs opens it."""

    certificate: Path  # the chain in PEM, the signer's first
    key: Path
    algorithm: str
    timestamp_url: str | None = None


def local_credentials(folder: Path, now: datetime) -> Credentials:
    """Those of this installation, made now if there are none. Raises MediaError."""
    path = folder / LOCAL_NAME
    if not path.is_file():
        _make(path, now)
    return Credentials(certificate=path, key=path, algorithm="es256")


def own_credentials(certificate: Path, key: Path, timestamp_url: str | None, now: datetime) -> Credentials:
    """The user's own, checked. Raises ConfigError that says what is wrong with them and what to do."""
    chain = _read_chain(certificate)
    leaf = chain[0]
    private = _read_key(key)
    if leaf.public_key() != private.public_key():
        raise ConfigError(
            f"[provenance] key: {key} does not belong to the first certificate of {certificate}. "
            f"Name the key of the certificate that is to sign."
        )
    if not leaf.not_valid_before_utc <= now + CLOCK_SLACK:
        raise ConfigError(
            f"[provenance] certificate: {certificate} is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M}."
        )
    if leaf.not_valid_after_utc <= now:
        raise ConfigError(
            f"[provenance] certificate: {certificate} expired on {leaf.not_valid_after_utc:%Y-%m-%d}. "
            f"Renew it, or remove it from [provenance] to sign with the local one."
        )
    _check_profile(chain, certificate)
    return Credentials(
        certificate=certificate, key=key, algorithm=_algorithm(private, key), timestamp_url=timestamp_url
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """By what our own signatures are known again: their serial numbers, and the roots that they lead to."""

    serials: frozenset[str]
    roots: str


def identity(certificates: Sequence[Path]) -> Identity:
    """Read from chains; a file that is not there adds nothing."""
    from cryptography.hazmat.primitives.serialization import Encoding

    chains = [_read_chain(path) for path in certificates if path.is_file()]
    roots = "".join(chain[-1].public_bytes(Encoding.PEM).decode() for chain in chains)
    return Identity(frozenset(str(chain[0].serial_number) for chain in chains), roots)


def check_anchors(path: Path) -> str:
    """The certificates of a trust list, as PEM. Raises ConfigError."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return "".join(each.public_bytes(Encoding.PEM).decode() for each in _read_chain(path, "trust"))


def _make(path: Path, now: datetime) -> None:
    """Write key and chain in one file that is either whole or not there, readable by this user alone."""
    make_folder(path.parent)
    temporary = beside(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_new_pem(now))
            file.flush()
            os.fsync(file.fileno())
        _take_the_name(temporary, path)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def _take_the_name(temporary: Path, path: Path) -> None:
    """Give the file its name, unless another process was faster: then theirs counts. A rename would not notice."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        if not path.exists():
            temporary.replace(path)


def _new_pem(now: datetime) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name("rushes local root"), _name("rushes local signer")

    def draft(subject: "Name", owner: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(owner.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SLACK)
            .not_valid_after(now + LIFE)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(owner.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )

    root = (
        draft(root_name, root_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        draft(name, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(EKU_EMAIL)]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return b"".join(
        [
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            leaf.public_bytes(Encoding.PEM),
            root.public_bytes(Encoding.PEM),
        ]
    )


def _name(common_name: str) -> "Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(*, signs_certificates: bool) -> "KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"[provenance] {setting}: {path} cannot be read: {error.strerror}.") from error


def _read_chain(path: Path, setting: str = "certificate") -> "list[Certificate]":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(_read(path, setting))
    except ValueError as error:
        raise ConfigError(f"[provenance] {setting}: {path} holds no certificate in PEM form.") from error


def _read_key(path: Path) -> "PrivateKeyTypes":
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(_read(path, "key"), password=None)
    except TypeError as error:
        raise ConfigError(
            f"[provenance] key: {path} has a password. Store it without one, for this user only."
        ) from error
    except ValueError as error:
        raise ConfigError(f"[provenance] key: {path} holds no private key in PEM form.") from error


def _check_profile(chain: "list[Certificate]", path: Path) -> None:
    """What every validator refuses later is refused now."""
    from cryptography import x509

    leaf = chain[0]
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as error:
        raise ConfigError(
            f"[provenance] certificate: {path} does not say what it may be used for. C2PA wants the key usage "
            f"digital signature and an extended key usage such as e-mail protection."
        ) from error
    if not usage.digital_signature or not {use.dotted_string for use in uses} & set(ALLOWED_USES):
        raise ConfigError(
            f"[provenance] certificate: {path} is not meant for signing content. C2PA wants the key usage digital "
            f"signature and one of e-mail protection, document signing or C2PA claim signing."
        )
    if leaf.issuer == leaf.subject:
        raise ConfigError(
            f"[provenance] certificate: {path} is signed by itself, which C2PA does not allow. "
            f"Use one that an authority has signed, and put the authority's certificate behind it in the file."
        )


def _algorithm(key: "PrivateKeyTypes", path: Path) -> str:
    """C2PA's name for what this key signs with."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise ConfigError(f"[provenance] key: {path} is of a kind that C2PA does not sign with. Use ES256 (P-256).")
