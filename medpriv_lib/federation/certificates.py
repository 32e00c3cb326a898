"""Who may take part: the coordinator's certificate and each site's key, made here for trying."""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medpriv_lib.core.extra import FEDERATED
from medpriv_lib.core.files import all_or_nothing, write_new
from medpriv_lib.core.host import host_of

DAYS = 30
AUTHORITY, SERVER = "ca.crt", "coordinator"
ROSTER, IDENTITY = "roster.json", ".identity"
FEWEST = 3  # sites of a roster


def make_certificates(folder: str | os.PathLike, sites: int = 3, hosts: Sequence[str] = ()) -> Path:
    """Write an authority's certificate, the coordinator's certificate and key for `hosts` and for
    this machine, and a key pair for each site, into a folder.

    `ca.crt`, `coordinator.crt` and `coordinator.key`; `site-1` (the key) and `site-1.pub`, and so
    on; for three sites and more what secure aggregation needs, `roster.json` and for each site
    `site-1.identity`. Keys are readable by their owner only, certificates good for 30 days. The
    authority's own key is thrown away. The coordinator needs its own files, the sites' `.pub` and
    the roster; a site `ca.crt`, the roster, its own pair and its identity. Where one cannot be
    written, none is left. Raises `FileExistsError` where a file is there already, `ValueError` for
    a host that is none.
    """
    x509 = FEDERATED.need("cryptography.x509")
    ec = FEDERATED.need("cryptography.hazmat.primitives.asymmetric.ec")
    code = FEDERATED.need("cryptography.hazmat.primitives.serialization")
    root, key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    names: list[Any] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    for host in map(host_of, hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:  # a name, no address
            names.append(x509.DNSName(host))
    pem, clear = code.Encoding.PEM, code.NoEncryption()
    with all_or_nothing(folder) as new:
        write_new(new / AUTHORITY, _signed(root, root, None).public_bytes(pem), 0o644)
        write_new(new / f"{SERVER}.crt", _signed(key, root, names).public_bytes(pem), 0o644)
        secret = key.private_bytes(pem, code.PrivateFormat.PKCS8, clear)
        write_new(new / f"{SERVER}.key", secret, 0o600)
        for number in range(1, sites + 1):
            own = ec.generate_private_key(ec.SECP384R1())
            secret = own.private_bytes(pem, code.PrivateFormat.OpenSSH, clear)
            write_new(new / f"site-{number}", secret, 0o600)
            public = own.public_key().public_bytes(code.Encoding.OpenSSH, code.PublicFormat.OpenSSH)
            write_new(new / f"site-{number}.pub", public, 0o644)
        if sites >= FEWEST:
            from medpriv_lib.federation.secure_aggregation.identity import enrol

            identities, roster = enrol("medpriv, for trying", sites, two_thirds(sites))
            for number, identity in identities.items():
                identity.write(new / f"site-{number}{IDENTITY}")
            roster.write(new / ROSTER)
    return new


def two_thirds(sites: int) -> int:
    """Return two thirds of the sites, rounded up: the threshold of a roster for trying."""
    return -(-2 * sites // 3)


def require_key(path: Path) -> None:
    """Raise `ValueError` where a file is no private key of a site; the network would only say that
    nobody answers.
    """
    code = FEDERATED.need("cryptography.hazmat.primitives.serialization")
    try:
        code.load_ssh_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: no private key of a site ({error}); put back the file that came with it, or "
            "make new keys"
        ) from error


def require_files(folder: Path, names: Sequence[str]) -> None:
    """Raise `FileNotFoundError` with the remedy for the first of these files that is missing."""
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name}: no such file; make keys for trying with `medpriv federate "
                f"certificates {folder}`"
            )


def _signed(key: Any, authority: Any, names: list[Any] | None) -> Any:
    """Return a certificate of `key` for these names, or, without any, of the authority itself."""
    x509, oid = FEDERATED.need("cryptography.x509"), FEDERATED.need("cryptography.x509.oid").NameOID
    hashes = FEDERATED.need("cryptography.hazmat.primitives.hashes")

    def named(text: str) -> Any:
        return x509.Name([x509.NameAttribute(oid.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named("medpriv, for trying" if names is None else SERVER))
        .issuer_name(named("medpriv, for trying"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False
        )
        .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), True)
    )
    if names is None:
        uses = dict.fromkeys(
            ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
        )
        uses |= {"digital_signature": True, "key_cert_sign": True, "crl_sign": True}
        uses |= {"encipher_only": False, "decipher_only": False}
        builder = builder.add_extension(x509.KeyUsage(**uses), True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
    return builder.sign(authority, hashes.SHA384())
