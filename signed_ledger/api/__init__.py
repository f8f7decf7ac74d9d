"""HTTP: routes, the caller's signature, problem documents, OpenAPI. The one package that serves with aiohttp.

Nothing is imported here: the command line shares what is read and shown (`query`, `views`, `statements`), and need not
load an HTTP server for it.
"""
