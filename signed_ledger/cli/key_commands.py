"""`keys ...`: what its commands are called and take."""

from pathlib import Path

from signed_ledger.cli import key_approving, reattesting
from signed_ledger.cli.arguments import Commands, Parser, add_command, add_group, add_passphrase_file
from signed_ledger.cli.hardware import add_pkcs11
from signed_ledger.cli.keys import add_key, change_root, list_keys, retire_key, revoke_key, rotate_key
from signed_ledger.records.names import PARTY_ROLES, SERVICE_ROLES

APPROVED = (
    "Needs the current entry key, and the root keys that must approve in KEYS/root; or write a --request for these. "
    "A running server takes the change up by itself."
)


def add_commands(commands: Commands) -> None:
    keys = add_group(commands, "keys", "show and change the key registry", example="signed-ledger keys list")
    add_command(
        keys,
        "list",
        list_keys,
        "show every key ever registered: kid, role, whose, valid from and to seq",
        example="signed-ledger keys list --json",
        facts=True,
    )
    _add_add(keys)
    _add_rotate(keys)
    _add_retire(keys)
    _add_revoke(keys)
    _add_root(keys)
    key_approving.add_commands(keys)
    reattesting.add_commands(keys)


def _add_add(keys: Commands) -> None:
    parser = add_command(
        keys,
        "add",
        add_key,
        "register a scheme, operator or auditor key and print its kid",
        more="Compare the kid with its owner by another road first. " + APPROVED,
        example="signed-ledger keys add scheme acme acme-public.pem",
        facts=True,
    )
    parser.add_argument("role", metavar="ROLE", choices=PARTY_ROLES, help=", ".join(PARTY_ROLES))
    parser.add_argument("name", metavar="NAME", help="whose key it is, 1 to 64 of A-Za-z0-9._-")
    parser.add_argument("public_key_file", metavar="PUBLIC_KEY_FILE", type=Path, help="Ed25519, PEM")
    _add_request(parser)
    add_passphrase_file(parser)


def _add_rotate(keys: Commands) -> None:
    parser = add_command(
        keys,
        "rotate",
        rotate_key,
        "make a new entry or checkpoint key, in use from the next entry on",
        more=APPROVED + " The new key file is encrypted where the old one is, with the same passphrase; the new key of "
        "one in a token is made in that token.",
        example="signed-ledger keys rotate entry",
        facts=True,
    )
    parser.add_argument("role", metavar="ROLE", choices=SERVICE_ROLES, help=" or ".join(SERVICE_ROLES))
    add_pkcs11(parser, "make the new key in this token")
    _add_request(parser)
    add_passphrase_file(parser)


def _add_revoke(keys: Commands) -> None:
    parser = add_command(
        keys,
        "revoke",
        revoke_key,
        "stop trusting what a key signed from a size of the ledger on; a key of the service's own is replaced at once",
        more="A key that is only pre-committed as the next one can be revoked too. " + APPROVED,
        example="signed-ledger keys revoke 3f2a90c1 --at-size 1200",
        facts=True,
    )
    parser.add_argument("kid", metavar="KID", help="the kid, or its first 8 digits and more where that is one key")
    parser.add_argument("--at-size", type=int, required=True, metavar="N", help="entries before seq N stay trusted")
    _add_request(parser)
    add_passphrase_file(parser)


def _add_root(keys: Commands) -> None:
    parser = add_command(
        keys,
        "root",
        change_root,
        "replace the root keys, approved by the old ones and by the new ones",
        more="Writes a new trust file beside the old one. Of the new keys at least as many as must approve sign too.",
        example="signed-ledger keys root --new-keys 3 --threshold 2",
        facts=True,
    )
    parser.add_argument("--new-keys", type=int, default=0, metavar="N", help="make so many new root keys in KEYS/root")
    parser.add_argument(
        "--root-public-key", type=Path, action="append", metavar="FILE", help="a key of the new set, PEM; once for each"
    )
    parser.add_argument("--threshold", type=int, required=True, metavar="K", help="how many of them must approve")
    _add_request(parser)
    add_passphrase_file(parser)


def _add_request(parser: Parser) -> None:
    parser.add_argument(
        "--request", type=Path, metavar="FILE", help="record nothing; write a request that keys approve signs elsewhere"
    )


def _add_retire(keys: Commands) -> None:
    parser = add_command(
        keys,
        "retire",
        retire_key,
        "end a scheme's, operator's or auditor's key: no longer valid after now",
        more=APPROVED,
        example="signed-ledger keys retire 3f2a90c1",
        facts=True,
    )
    parser.add_argument("kid", metavar="KID", help="the kid, or its first 8 digits and more where that is one key")
    _add_request(parser)
    add_passphrase_file(parser)
