"""Writes the certificate authorities that Java trusts: the stack's, and the platform's own. usage: truststore.py FILE

The file is a key store of the kind JKS with the usual password changeit, which every version of Java reads.
"""

import base64
import binascii
import glob
import hashlib
import os
import re
import struct
import sys

STACK = "/etc/ssl/certs/ca-certificates.crt"
PASSWORD = "changeit"


def platform_files():
    folder = os.environ.get("CF_SYSTEM_CERT_PATH", "")
    return sorted(glob.glob(f"{folder}/*.crt")) if folder else []


def certificates():
    """The DER form of each certificate, in order, once."""
    found = {}
    for file in [STACK, *platform_files()]:
        try:
            with open(file, encoding="ascii", errors="replace") as text:
                blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", text.read(), re.DOTALL)
        except OSError:
            continue
        for block in blocks:
            try:
                found[base64.b64decode(block)] = True
            except binascii.Error:
                print(f"{file}: a certificate cannot be read", file=sys.stderr)
    return list(found)


def write(path):
    entries = certificates()
    data = struct.pack(">III", 0xFEEDFEED, 2, len(entries))
    for number, certificate in enumerate(entries):
        alias = f"ca-{number}".encode()
        data += struct.pack(">IH", 2, len(alias)) + alias + struct.pack(">QH", 0, 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate
    digest = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + data, usedforsecurity=False).digest()
    with open(path + ".new", "wb") as file:
        file.write(data + digest)
    os.replace(path + ".new", path)


if __name__ == "__main__":
    write(sys.argv[1])
