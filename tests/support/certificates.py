"""Certificates of a CA that the test makes: for a server, for clients."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path


def openssl(*arguments, folder: Path):
    done = subprocess.run(["openssl", *map(str, arguments)], cwd=folder, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


class Authority:
    """A CA in a folder of its own; `ca` is its certificate."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True)
        folder.chmod(0o755)
        self.ca = folder / "ca.crt"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=test CA",
                "-days", "2", "-keyout", "ca.key", "-out", "ca.crt", folder=folder)

    def issue(self, name: str, *dns: str, password: str | None = None) -> tuple[Path, Path]:
        """Certificate and key of common name `name`; `dns`: what a server may be called."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        protect = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *protect, "-subj", f"/CN={name}",
                "-keyout", key, "-out", f"{name}.csr", folder=self.folder)
        names = self.folder / f"{name}.ext"
        names.write_text("subjectAltName = " + ", ".join(f"DNS:{n}" for n in dns) if dns else "basicConstraints = CA:FALSE")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", names, "-out", certificate, folder=self.folder)
        key.chmod(0o600)
        return certificate, key

    def server_settings(self, *dns: str) -> dict[str, str]:
        """For a Cluster that speaks TLS under these names and takes this CA's client certificates."""
        certificate, key = self.issue("server", *dns)
        if os.geteuid() == 0:
            shutil.chown(key, "postgres", "postgres")
        return {"ssl": "on", "ssl_cert_file": f"'{certificate}'", "ssl_key_file": f"'{key}'", "ssl_ca_file": f"'{self.ca}'"}
