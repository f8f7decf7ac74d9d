"""What anyone may ask: the log, which others can check, the key registry, and the service's own documents."""

from typing import Final

from signed_ledger.api.operation import Operation, Parameter, Reply
from signed_ledger.errors import InternalError, NotFound, Overloaded

_TILES: Final = "C2SP tlog-tiles"

PUBLIC_OPERATIONS: Final = (
    Operation(
        tag="public",
        name="checkpoint",
        method="GET",
        path="/checkpoint",
        summary="The newest checkpoint: how large the ledger is, and the root hash over all of its entries",
        about=f"A note signed by the checkpoint key, with the cosignatures of witnesses so far: {_TILES}. "
        "It is consistent with every one before it. Keep one: with it you can prove that nothing before was changed.",
        replies=(Reply(200, "The checkpoint.", media="text/plain"),),
        codes=(NotFound,),
    ),
    Operation(
        tag="public",
        name="tile",
        method="GET",
        path="/tile/{tile}",
        summary="A tile: hashes of the tree, or entries",
        about="<L>/<N>, hashes of level L, or entries/<N>, entries with their lengths; .p/<W> where it is not full. "
        f"What is there never changes: {_TILES}. The parts of entries, which tell of persons, are in none of them.",
        parameters=(
            Parameter("path", "tile", {"type": "string"}, "Such as 0/x001/x234/067 or entries/000.p/7.", required=True),
        ),
        replies=(Reply(200, "The tile.", media="application/octet-stream"),),
        codes=(NotFound, Overloaded),
    ),
    Operation(
        tag="public",
        name="keys",
        method="GET",
        path="/keys",
        summary="The key registry",
        about="Every key that is or was valid, with the entries for which it is: from valid_from up to, not including, "
        "valid_to. Trust the root keys by another road than this one.",
        replies=(Reply(200, "The registry.", "Registry"),),
        codes=(InternalError, Overloaded),
    ),
    Operation(
        tag="public",
        name="healthz",
        method="GET",
        path="/healthz",
        summary="Does the process serve?",
        about="Always 200 while it does.",
        replies=(Reply(200, "It does.", "Health"),),
    ),
    Operation(
        tag="public",
        name="readyz",
        method="GET",
        path="/readyz",
        summary="Can it decide?",
        about="200 while the writer runs and the store can be read.",
        replies=(Reply(200, "It can; head is the newest entry's number.", "Readiness"),),
        codes=(Overloaded,),
    ),
    Operation(
        tag="public",
        name="openapi",
        method="GET",
        path="/openapi.json",
        summary="This interface, for machines",
        about="OpenAPI 3.1.",
        replies=(Reply(200, "The document.", "Document"),),
    ),
    Operation(
        tag="public",
        name="docs",
        method="GET",
        path="/docs",
        summary="This interface, for people",
        about="One page, made from the OpenAPI document. It loads nothing from elsewhere and runs no script.",
        replies=(Reply(200, "The page.", media="text/html"),),
    ),
    Operation(
        tag="public",
        name="style",
        method="GET",
        path="/docs/style.css",
        summary="The page's style",
        about="Served by this service, like all that the page needs.",
        replies=(Reply(200, "The style sheet.", media="text/css"),),
    ),
)
