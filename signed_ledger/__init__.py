"""A card Issuer's cryptographically signed, append-only ledger service."""

__version__ = "0.4.0"
