"""Certificates by which the parties know each other: made here for trying, by an authority of one's
own elsewhere.
"""

import datetime
import os
import ssl
from pathlib import Path
from typing import Any

from medpriv_lib.core.extra import ENCRYPTED
from medpriv_lib.core.files import all_or_nothing, write_new

MODEL_OWNER, DATA_OWNER, DEALER = ROLES = ("model-owner", "data-owner", "dealer")
DAYS = 30
AUTHORITY = "authority.crt"


def make_certificates(folder: str | os.PathLike) -> Path:
    """Write an authority's certificate, and a certificate and key for each role, into a folder.

    `authority.crt`, `model-owner.crt`, `model-owner.key`, and so on; keys are readable by their
    owner only and good for 30 days. The authority's own key is thrown away. Give each party
    `authority.crt` and its own two files, and no party another's key. Raises `FileExistsError`
    where a file is there already.
    """
    x509, oid = ENCRYPTED.need("cryptography.x509"), ENCRYPTED.need("cryptography.x509.oid").NameOID
    ec = ENCRYPTED.need("cryptography.hazmat.primitives.asymmetric.ec")
    hashes = ENCRYPTED.need("cryptography.hazmat.primitives.hashes")
    code = ENCRYPTED.need("cryptography.hazmat.primitives.serialization")
    now = datetime.datetime.now(datetime.UTC)

    def name(text: str) -> Any:
        return x509.Name([x509.NameAttribute(oid.COMMON_NAME, text)])

    def begin(subject: str, key: Any) -> Any:
        builder = x509.CertificateBuilder().subject_name(name(subject)).public_key(key)
        builder = builder.issuer_name(name("medpriv, for trying"))
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(minutes=5))
        return builder.not_valid_after(now + datetime.timedelta(days=DAYS))

    root = ec.generate_private_key(ec.SECP256R1())
    whole = begin("medpriv, for trying", root.public_key())
    whole = whole.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    identifier = x509.SubjectKeyIdentifier.from_public_key(root.public_key())
    whole = whole.add_extension(identifier, critical=False)
    signing = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    whole = whole.add_extension(signing, critical=True).sign(root, hashes.SHA256())
    with all_or_nothing(folder) as new:
        write_new(new / AUTHORITY, whole.public_bytes(code.Encoding.PEM), 0o644)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
        for role in ROLES:
            key = ec.generate_private_key(ec.SECP256R1())
            names = x509.SubjectAlternativeName([x509.DNSName(role)])
            leaf = begin(role, key.public_key()).add_extension(names, critical=False)
            leaf = leaf.add_extension(issuer, critical=False).sign(root, hashes.SHA256())
            secret = key.private_bytes(
                code.Encoding.PEM, code.PrivateFormat.PKCS8, code.NoEncryption()
            )
            write_new(new / f"{role}.key", secret, 0o600)
            write_new(new / f"{role}.crt", leaf.public_bytes(code.Encoding.PEM), 0o644)
    return new


def context(folder: str | os.PathLike, role: str, server: bool) -> ssl.SSLContext:
    """Return a role's TLS 1.3 context, which asks the other side for a certificate as well.

    Raises `FileNotFoundError` and `ValueError` with the remedy for files that are missing or no
    certificates.
    """
    folder = Path(folder)
    paths = [folder / AUTHORITY, folder / f"{role}.crt", folder / f"{role}.key"]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no such file; a {role} needs {', '.join(p.name for p in paths)}: make "
                f"them for trying with `medpriv infer --make-certificates {folder}`"
            )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.verify_mode = ssl.CERT_REQUIRED
    try:
        made.load_verify_locations(paths[0])
        made.load_cert_chain(paths[1], paths[2])
    except ssl.SSLError as error:
        raise ValueError(
            f"{folder}: the certificates of the {role} cannot be read ({error.reason}); make new "
            "ones"
        ) from error
    return made


def roles_of(connection: ssl.SSLSocket) -> list[str]:
    """Return the names in the certificate of the other side."""
    found = connection.getpeercert() or {}
    names = found.get("subjectAltName", ())
    return [str(pair[1]) for pair in names if isinstance(pair, tuple) and pair[0] == "DNS"]
