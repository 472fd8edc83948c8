"""OpenPGP signatures of repositories, by the secret key that APT_SIGNING_KEY names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from build_lib.errors import PackagesError

PUBLIC_KEY = "apphub.asc"  # the file beside the index, for clients
_HINT = "gpg --armor --export-secret-keys writes one; it must not be expired, revoked or have a passphrase"


class Key:
    """A secret key; it is kept in memory alone."""

    def __init__(self, path: Path) -> None:
        """Read it.

        Raises:
            PackagesError: the file holds no secret key that can sign.
        """
        import pysequoia  # noqa: PLC0415  # only who signs needs it

        self._path = path
        self._sign = pysequoia.sign
        self._mode = pysequoia.SignatureMode
        self._signer, self.public = self._read(pysequoia.Tsk.from_bytes)

    def _read(self, parse: Callable[[bytes], Any]) -> tuple[Any, bytes]:
        try:
            secret = parse(self._path.read_bytes())
            return secret.signer(), str(secret.extract_certificate()).encode()
        except (OSError, RuntimeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise PackagesError(
                f"APT_SIGNING_KEY: {self._path} is not a secret key that can sign: {reason}", hint=_HINT
            ) from None

    def inline(self, content: bytes) -> bytes:
        """The content with its signature, as clear text (the format of `InRelease`)."""
        return bytes(self._sign(self._signer, content, mode=self._mode.CLEAR))

    def detached(self, content: bytes) -> bytes:
        """The signature alone, armored (the format of `Release.gpg` and `repomd.xml.asc`)."""
        return bytes(self._sign(self._signer, content, mode=self._mode.DETACHED))
