"""HTTP: routes, the caller's signature, problem documents, OpenAPI. The one package that imports aiohttp."""

from signed_ledger.api.app import make_admin_app, make_app
from signed_ledger.api.openapi import openapi_document
from signed_ledger.api.operations import OPERATIONS
from signed_ledger.api.server import FAULT, STOPPED, run_admin, run_server

__all__ = [
    "FAULT",
    "OPERATIONS",
    "STOPPED",
    "make_admin_app",
    "make_app",
    "openapi_document",
    "run_admin",
    "run_server",
]
