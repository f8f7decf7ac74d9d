"""A witness of other people's logs (C2SP tlog-witness): it cosigns a checkpoint that continues the one before."""

from signed_ledger.witness.service import make_witness_app, run_witness
from signed_ledger.witness.state import Evidence, FollowedLog, Identity, State, create_state
from signed_ledger.witness.witnessing import Answer, Witness

__all__ = [
    "Answer",
    "Evidence",
    "FollowedLog",
    "Identity",
    "State",
    "Witness",
    "create_state",
    "make_witness_app",
    "run_witness",
]
