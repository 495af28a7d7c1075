"""The certificate of this installation, and the user's own: what is wrong with one is said before it signs."""

import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from authority import KINDS, issue
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from rushes.errors import ConfigError
from rushes.media.certificates import Credentials, identity, local_credentials, own_credentials

NOW = datetime.now(UTC)


def local_chain(folder: Path) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(local_credentials(folder, NOW).certificate.read_bytes())


def test_the_local_certificate_is_made_once_and_for_years(tmp_path: Path) -> None:
    first = local_credentials(tmp_path, NOW)
    made = first.certificate.read_bytes()

    again = local_credentials(tmp_path, NOW)

    leaf = local_chain(tmp_path)[0]
    assert again == first
    assert again.certificate.read_bytes() == made
    assert leaf.not_valid_after_utc > NOW + timedelta(days=10 * 365)


def test_only_this_user_can_read_the_local_key(tmp_path: Path) -> None:
    key = local_credentials(tmp_path / "provenance", NOW).key

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [path.name for path in key.parent.iterdir()] == [key.name], "no copy is left beside it"


def test_the_local_chain_is_what_c2pa_asks_for(tmp_path: Path) -> None:
    leaf, root = local_chain(tmp_path)

    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.EMAIL_PROTECTION in uses
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


MAKE = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from rushes.media.certificates import local_credentials
import cryptography.x509, cryptography.hazmat.primitives.asymmetric.ec

while time.time() < float(sys.argv[2]):
    pass
print(local_credentials(Path(sys.argv[1]), datetime.now(UTC)).certificate.read_text())
"""


def test_two_processes_that_make_it_at_the_same_time_end_with_one(tmp_path: Path) -> None:
    at = str(datetime.now(UTC).timestamp() + 1.0)
    command = [sys.executable, "-c", MAKE, str(tmp_path / "provenance"), at]
    makers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    seen = {maker.communicate(timeout=30)[0] for maker in makers}

    assert [maker.returncode for maker in makers] == [0] * 4
    assert len(seen) == 1
    assert "BEGIN CERTIFICATE" in seen.pop()


@pytest.mark.parametrize(("kind", "algorithm"), KINDS.items(), ids=KINDS.keys())
def test_an_own_certificate_signs_with_what_its_key_is(kind: str, algorithm: str, tmp_path: Path) -> None:
    issued = issue(tmp_path, kind=kind)

    own = own_credentials(issued.certificate, issued.key, None, NOW)

    assert own == Credentials(certificate=issued.certificate, key=issued.key, algorithm=algorithm)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"begins": timedelta(days=-20), "ends": timedelta(days=-1)}, "expired on"),
    "not yet valid": ({"begins": timedelta(days=2)}, "not valid before"),
    "for servers": ({"use": ExtendedKeyUsageOID.SERVER_AUTH}, "not meant for signing content"),
    "for nothing said": ({"use": None}, "does not say what it may be used for"),
    "signed by itself": ({"self_signed": True}, "signed by itself"),
    "a curve that C2PA does not know": ({"kind": "k1"}, "kind that C2PA does not sign with"),
    "a key with a password": ({"password": b"secret"}, "has a password"),
}


@pytest.mark.parametrize(("flaw", "words"), BAD.values(), ids=BAD.keys())
def test_an_own_certificate_that_cannot_sign_is_refused(flaw: dict[str, Any], words: str, tmp_path: Path) -> None:
    issued = issue(tmp_path, **flaw)

    with pytest.raises(ConfigError, match=words):
        own_credentials(issued.certificate, issued.key, None, NOW)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    issued, other = issue(tmp_path / "a"), issue(tmp_path / "b")

    with pytest.raises(ConfigError, match="does not belong to the first certificate"):
        own_credentials(issued.certificate, other.key, None, NOW)


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_file_that_is_not_there_or_is_something_else_is_refused(missing: str, tmp_path: Path) -> None:
    issued = issue(tmp_path)
    path = issued.certificate if missing == "certificate" else issued.key

    path.write_text("hello")
    with pytest.raises(ConfigError, match=f"{missing}: .* holds no"):
        own_credentials(issued.certificate, issued.key, None, NOW)
    path.unlink()
    with pytest.raises(ConfigError, match=f"{missing}: .* cannot be read"):
        own_credentials(issued.certificate, issued.key, None, NOW)


def test_our_signatures_are_known_again_by_serial_and_root(tmp_path: Path) -> None:
    local = local_credentials(tmp_path, NOW).certificate
    issued = issue(tmp_path / "own")

    known = identity([local, issued.certificate, tmp_path / "no.pem"])

    leaf = local_chain(tmp_path)[0]
    assert str(leaf.serial_number) in known.serials
    assert len(known.serials) == known.roots.count("BEGIN CERTIFICATE") == 2
    assert issued.root.read_text().strip() in known.roots
