"""Whether the newest checkpoint is cosigned as an auditor's policy demands, and what is said where it is not."""

from typing import NamedTuple

from signed_ledger.encoding import decode_checkpoint
from signed_ledger.errors import Invalid
from signed_ledger.policy import Policy, shown

_ONE_HISTORY = "whether others were shown the same history as you can not be known."


class Witnessed(NamedTuple):
    """The policy's witnesses that cosigned a checkpoint, and what can not be known for want of others."""

    names: tuple[str, ...]
    not_known: str | None
    was_asked: bool = True


def witnessed(policy: Policy | None, note: bytes | None) -> Witnessed:
    """`note` is the newest checkpoint with all its signature lines; `None` where there is none."""
    if policy is None:
        return Witnessed((), f"No witness was asked: {_ONE_HISTORY}", was_asked=False)
    if note is None:
        return Witnessed((), f"There is no new checkpoint that witnesses could have cosigned: {_ONE_HISTORY}")
    try:
        signed = decode_checkpoint(note, may_extend=True)
        cosigned, is_accepted = policy.cosigned(signed), not policy.logs or policy.accepts(signed)
    except Invalid as error:
        return Witnessed((), f"Signatures of the newest checkpoint can not be read ({error}): {_ONE_HISTORY}")
    names = tuple(sorted(map(shown, cosigned)))
    if not is_accepted:
        return Witnessed(names, f"The policy names logs, and none of them signed the newest checkpoint: {_ONE_HISTORY}")
    if policy.is_met(cosigned):
        return Witnessed(names, None)
    told = ", ".join(names) or "no witness of the policy"
    return Witnessed(names, f"The newest checkpoint is cosigned by {told}, which is not the quorum: {_ONE_HISTORY}")
