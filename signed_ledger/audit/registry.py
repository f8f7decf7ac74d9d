"""Steps 1 and 2: whom the ledger names as its root, and the key registry as its key entries make it."""

from signed_ledger.audit.steps import Step, Tally
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.records import Body, Genesis, KeyChange
from signed_ledger.trust import Trust


class Registry:
    """The keyring as of the entry that was opened last; `None` as long as no genesis could be read.

    A change that the root approved counts even where the entry around it is damaged: that is told elsewhere, and the
    signatures after it can be verified all the same.
    """

    def __init__(self, tally: Tally, trust: Trust | None) -> None:
        self.keyring: Keyring | None = None
        self._tally = tally
        self._trust = trust
        self._versions_are_lost = False
        self._is_damaged = False

    def fault_of_key(self, seq: int, step: Step, key: str, reason: str) -> None:
        """A signature by a key that is not valid. Once a key entry is damaged, all that misses its key is one fault."""
        if self._is_damaged:
            self._tally.repeated_fault(seq, step, key, reason)
        else:
            self._tally.fault(seq, step, reason)

    def found(self, body: Body | None) -> None:
        """Take the genesis in; without one no signature of the ledger can be checked."""
        self._tally.checked[Step.REGISTRY] += 1
        if not isinstance(body, Genesis):
            self._fault(0, "there is no genesis to read: no key is known, so no signature below can be checked")
            if self._trust is not None:
                self._tally.fault(0, Step.TRUST, "there is no genesis to compare the trust file with")
            return
        self._compare(body)
        try:
            self.keyring = Keyring(body)
        except (Invalid, KeyChangeRefused) as error:
            self._fault(0, f"the genesis is not approved: {error}; no signature below can be checked")

    def change(self, seq: int, body: Body | None) -> None:
        """Take the key entry at `seq` in, if the registry admits it."""
        if self.keyring is None:
            return
        if body is None:
            self._versions_are_lost = self._is_damaged = True
        if not isinstance(body, KeyChange):
            return
        self._tally.checked[Step.REGISTRY] += 1
        if self._versions_are_lost and body.version > self.keyring.version:
            self.keyring.version, self._versions_are_lost = body.version - 1, False
        try:
            self.keyring.check(body)
        except (Invalid, KeyChangeRefused) as error:
            self._is_damaged = True
            self._fault(seq, f"the {body.op} of {body.role} key {body.kid[:16]} is not admitted: {error}")
        else:
            self.keyring.apply(body, seq)

    def _compare(self, genesis: Genesis) -> None:
        if self._trust is None:
            return
        self._tally.checked[Step.TRUST] += 1
        for name, ours, theirs in (
            ("origin", self._trust.origin, genesis.origin),
            ("root keys", set(self._trust.root_keys), set(genesis.root_keys)),
            ("threshold", self._trust.threshold, genesis.threshold),
        ):
            if ours != theirs:
                shown = "" if isinstance(ours, set) else f": {theirs} where {ours} is trusted"
                self._tally.fault(0, Step.TRUST, f"the genesis has another {name} than the trust file{shown}")

    def _fault(self, seq: int, reason: str) -> None:
        self._tally.fault(seq, Step.REGISTRY, reason)
