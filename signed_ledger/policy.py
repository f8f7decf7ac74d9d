"""Which witnesses must have cosigned a checkpoint: a policy file of C2SP tlog-policy, read strictly."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from signed_ledger.checkpoints import cosigned_at, is_signed_by, read_vkey
from signed_ledger.encoding import COSIGNATURE, ED25519, SignedCheckpoint, VerifierKey
from signed_ledger.errors import Invalid

POLICY_BYTES_MAX: Final = 1_048_576
NAMES_MAX: Final = 256
"""How many logs, how many witnesses and how many groups a policy may have."""
NONE: Final = "none"
_ALLOWED: Final = re.compile(rb"[\x09\x0a\x20-\x7e\x80-\xff]*")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}")


class Keyholder(NamedTuple):
    """A log or a witness: its key, and where to reach it, where the policy says so; nothing is known of that text."""

    key: VerifierKey
    url: str | None


class Group(NamedTuple):
    """At least `threshold` of `members`, each a witness or a group."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The logs that are accepted, the witnesses known, and which of them are a quorum: a name, or `none`.

    Names are those of the policy file, and mean nothing outside of it.
    """

    logs: tuple[Keyholder, ...]
    witnesses: Mapping[str, Keyholder]
    groups: Mapping[str, Group]
    quorum: str

    def is_met(self, cosigned: Collection[str]) -> bool:
        """Whether a checkpoint that just the witnesses `cosigned` have cosigned is witnessed."""
        return self.quorum == NONE or self._has_witnessed(self.quorum, cosigned)

    def _has_witnessed(self, name: str, cosigned: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in cosigned
        return sum(self._has_witnessed(member, cosigned) for member in group.members) >= group.threshold

    def cosigned(self, signed: SignedCheckpoint) -> dict[str, int]:
        """The witnesses that cosigned it, and when, in seconds since 1970 UTC. Every cosignature is verified."""
        times = {name: cosigned_at(signed, witness.key) for name, witness in self.witnesses.items()}
        return {name: time for name, time in times.items() if time is not None}

    def accepts(self, signed: SignedCheckpoint) -> bool:
        """Whether one of the logs signed it. Raises `Invalid` where a line claims a log's key and does not verify."""
        signs = [is_signed_by(signed, log.key) for log in self.logs if log.key.name == signed.checkpoint.origin]
        return any(signs)


def read_policy(path: Path) -> Policy:
    """Read a policy file; raise `Invalid` naming the file and the line."""
    try:
        with path.open("rb") as file:
            data = file.read(POLICY_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid(str(path), f"can not be read: {error.strerror}") from None
    return decode_policy(data, str(path))


def decode_policy(data: bytes, field: str = "policy") -> Policy:
    """Read the text of a policy file; raise `Invalid` naming `field` and the line where it is not as C2SP has it."""
    if len(data) > POLICY_BYTES_MAX:
        raise Invalid(field, f"is longer than {POLICY_BYTES_MAX} bytes")
    if data and not data.endswith(b"\n"):
        raise Invalid(field, "does not end in a newline")
    reading = _Reading()
    for number, line in enumerate(data.split(b"\n")[:-1], start=1):
        if not _ALLOWED.fullmatch(line):
            raise Invalid(f"{field}:{number}", "holds a control character")
        # What is not ASCII is opaque: it is kept byte for byte.
        words = re.split(r"[ \t]+", line.decode("utf-8", "surrogateescape").strip(" \t"))
        if words == [""] or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except Invalid as error:
            raise Invalid(f"{field}:{number}", str(error)) from None
    if reading.quorum is None:
        raise Invalid(field, "has no quorum line")
    return Policy(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)


def shown(name: str) -> str:
    """A name of a policy, which may be of any bytes, for a person's eyes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class _Reading:
    """What has been read so far; a line may name only what stands before it."""

    def __init__(self) -> None:
        self.logs: list[Keyholder] = []
        self.witnesses: dict[str, Keyholder] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def take(self, words: list[str]) -> None:
        kinds = {"log": self._log, "witness": self._witness, "group": self._group, "quorum": self._quorum}
        if words[0] not in kinds:
            raise Invalid(words[0], "is not one of log, witness, group, quorum")
        kinds[words[0]](words[1:])
        if max(len(self.logs), len(self.witnesses), len(self.groups)) > NAMES_MAX:
            raise Invalid(words[0], f"is one more than the {NAMES_MAX} allowed")

    def _log(self, words: list[str]) -> None:
        if len(words) not in (1, 2):
            raise Invalid("log", "must be: log <vkey> [<url>]")
        self.logs.append(_keyholder(words, ED25519, "log", self.logs))

    def _witness(self, words: list[str]) -> None:
        if len(words) not in (2, 3):
            raise Invalid("witness", "must be: witness <name> <vkey> [<url>]")
        name = self._new_name(words[0])
        self.witnesses[name] = _keyholder(words[1:], COSIGNATURE, "witness", self.witnesses.values())

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise Invalid("group", "must be: group <name> all|any|<k> <name>...")
        name, count, *members = words
        self._new_name(name)
        for member in members:
            self._check_known(member)
            if member in self._members:
                raise Invalid(member, "is a member of a group already")
            self._members.add(member)
        self.groups[name] = Group(_threshold(count, len(members)), tuple(members))

    def _quorum(self, words: list[str]) -> None:
        if len(words) != 1:
            raise Invalid("quorum", "must be: quorum <name>")
        if self.quorum is not None:
            raise Invalid("quorum", "is said a second time")
        if words[0] != NONE:
            self._check_known(words[0])
        self.quorum = words[0]

    def _new_name(self, name: str) -> str:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise Invalid(name, "is taken: witnesses and groups have names of their own")
        return name

    def _check_known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise Invalid(name, "is no witness or group of a line before")


def _keyholder(words: list[str], algorithm: int, kind: str, others: Collection[Keyholder]) -> Keyholder:
    vkey, *url = words
    if vkey != shown(vkey):
        raise Invalid("vkey", "is not UTF-8")
    key = read_vkey(vkey)
    if key.algorithm != algorithm:
        raise Invalid("vkey", f"is not of a {kind}: its algorithm must be 0x{algorithm:02x}")
    if any(other.key.public_key == key.public_key for other in others):
        raise Invalid("vkey", f"is the key of another {kind} too")
    return Keyholder(key, url[0] if url else None)


def _threshold(count: str, members: int) -> int:
    if count in ("all", "any"):
        return members if count == "all" else 1
    if not _NUMBER.fullmatch(count) or int(count) > members:
        raise Invalid("group", f"needs all, any, or a number from 1 to its {members} members; it is {count}")
    return int(count)
