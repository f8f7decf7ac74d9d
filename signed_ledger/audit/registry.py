"""Steps 1 and 2: whom the ledger names as its root, and the key registry as its key entries make it."""

from signed_ledger.audit.steps import Step, Tally
from signed_ledger.errors import Invalid, KeyChangeRefused
from signed_ledger.keyring import Keyring
from signed_ledger.records import Attestation, Body, Genesis, History, RegistryChange, RootChange
from signed_ledger.trust import Trust


class Registry:
    """The keyring as of the entry that was opened last; `None` as long as no genesis could be read.

    A change that the root approved counts even where the entry around it is damaged: that is told elsewhere, and the
    signatures after it can be verified all the same.
    """

    def __init__(self, tally: Tally, trust: Trust | None) -> None:
        self.keyring: Keyring | None = None
        self.named: list[tuple[int, History]] = []  # each history for which an entry vouches, and that entry's seq
        self.trusted_since: int | None = None  # the entry from which on the trust file's root keys are the ledger's
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
        if not isinstance(body, RegistryChange):
            return
        self._tally.checked[Step.REGISTRY] += 1
        if self._versions_are_lost and not isinstance(body, Attestation) and body.version > self.keyring.version:
            self.keyring.version, self._versions_are_lost = body.version - 1, False
        try:
            self.keyring.check(body, seq)
        except (Invalid, KeyChangeRefused) as error:
            self._is_damaged = True
            self._fault(seq, f"{_described(body)} is not admitted: {error}")
        else:
            self.keyring.apply(body, seq)
            history = History(seq, body.root) if isinstance(body, Attestation) else body.history
            if history is not None:
                self.named.append((seq, history))

    def end(self) -> None:
        """After the last entry: whether the trust file's root keys were the ledger's at any time."""
        if self._trust is None or self.keyring is None:
            return
        keys, threshold = self._trust.root_keys, self._trust.threshold
        for root_set in self.keyring.root_sets:
            if root_set.is_same(keys, threshold):
                self.trusted_since = root_set.seq
                return
        genesis = self.keyring.root_sets[0]
        if set(keys) != set(genesis.keys):
            self._tally.fault(0, Step.TRUST, "the genesis has another root keys than the trust file")
        if threshold != genesis.threshold:
            self._tally.fault(0, Step.TRUST, _differing("threshold", threshold, genesis.threshold))

    def _compare(self, genesis: Genesis) -> None:
        if self._trust is None:
            return
        self._tally.checked[Step.TRUST] += 1
        if self._trust.origin != genesis.origin:
            self._tally.fault(0, Step.TRUST, _differing("origin", self._trust.origin, genesis.origin))

    def _fault(self, seq: int, reason: str) -> None:
        self._tally.fault(seq, Step.REGISTRY, reason)


def _differing(name: str, ours: object, theirs: object) -> str:
    return f"the genesis has another {name} than the trust file: {theirs} where {ours} is trusted"


def _described(body: RegistryChange) -> str:
    if isinstance(body, RootChange):
        return "the change of root keys"
    if isinstance(body, Attestation):
        return f"the attestation of key {body.kid[:16]}"
    return f"the {body.op} of {body.role} key {body.kid[:16]}"
