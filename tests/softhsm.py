"""A token of SoftHSM2 in a folder of its own, and what is in it, asked with python-pkcs11 itself."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pkcs11

from tests.processes import PROJECT

BROUGHT = PROJECT / "build/softhsm"
MODULE = BROUGHT / "libsofthsm2.so"
PIN = "73519428"
SO_PIN = "86420975"


class SoftToken:
    """Tokens below `folder`; what runs with the environment `SOFTHSM2_CONF` as `conf` finds them."""

    def __init__(self, folder: Path) -> None:
        assert MODULE.exists(), "SoftHSM2 is not there: run `make softhsm`"
        self.folder = folder / "tokens"
        self.folder.mkdir()
        self.conf = folder / "softhsm2.conf"
        self.conf.write_text(f"directories.tokendir = {self.folder}\nlog.level = ERROR\n")
        self.pin_file = folder / "pin"
        self.pin_file.touch(mode=0o600)
        self.pin_file.write_text(f"{PIN}\n")
        self.add("issuer")

    @property
    def uri(self) -> str:
        return f"pkcs11:token=issuer?module-path={MODULE}&pin-source=file:{self.pin_file}"

    def add(self, label: str) -> None:
        pins = ("--pin", PIN, "--so-pin", SO_PIN)
        command = [BROUGHT / "softhsm2-util", "--module", MODULE, "--init-token", "--free", "--label", label, *pins]
        environment = {**os.environ, "SOFTHSM2_CONF": str(self.conf)}
        subprocess.run([*map(str, command)], env=environment, check=True, capture_output=True)

    def objects(self) -> list[tuple[Any, str, bool]]:
        """(class, label, whether it can be taken out) of every object; the library forgets all sessions by it."""
        forget_sessions()
        with pkcs11.lib(str(MODULE)).get_token(token_label="issuer").open(user_pin=PIN) as session:
            found = [
                (key[pkcs11.Attribute.CLASS], key[pkcs11.Attribute.LABEL], extractable(key))
                for key in session.get_objects()
            ]
        forget_sessions()
        return found


def extractable(key: Any) -> bool:
    if key[pkcs11.Attribute.CLASS] != pkcs11.ObjectClass.PRIVATE_KEY:
        return True
    return bool(key[pkcs11.Attribute.EXTRACTABLE] or not key[pkcs11.Attribute.SENSITIVE])


def forget_sessions() -> None:
    """As when a device was unplugged, or its network went: every session of this process is dead."""
    pkcs11.lib(str(MODULE)).finalize()
