"""What KSeF does and this sandbox does not: operations of the specification 2.7.0 that are answered 501 at once.
Invoices, the sessions that send them, Peppol providers and collective identifiers; everything else is served.
"""

from ksef_sandbox.pipeline import PUBLIC, Route

_OPERATIONS = (
    ("POST", "/sessions/online"),
    ("POST", "/sessions/online/{referenceNumber}/invoices"),
    ("POST", "/sessions/online/{referenceNumber}/close"),
    ("POST", "/sessions/batch"),
    ("POST", "/sessions/batch/{referenceNumber}/close"),
    ("GET", "/sessions"),
    ("GET", "/sessions/{referenceNumber}"),
    ("GET", "/sessions/{referenceNumber}/invoices"),
    ("GET", "/sessions/{referenceNumber}/invoices/failed"),
    ("GET", "/sessions/{referenceNumber}/invoices/ksef/{ksefNumber}/upo"),
    ("GET", "/sessions/{referenceNumber}/invoices/{invoiceReferenceNumber}"),
    ("GET", "/sessions/{referenceNumber}/invoices/{invoiceReferenceNumber}/upo"),
    ("GET", "/sessions/{referenceNumber}/upo/{upoReferenceNumber}"),
    ("POST", "/invoices/query/metadata"),
    ("POST", "/invoices/exports"),
    ("GET", "/invoices/exports/{referenceNumber}"),
    ("GET", "/invoices/ksef/{ksefNumber}"),
    ("GET", "/peppol/query"),
    ("POST", "/collective-identifiers"),
    ("POST", "/collective-identifiers/query"),
    ("GET", "/collective-identifiers/ksef/{ksefNumber}"),
    ("GET", "/collective-identifiers/{collectiveIdentifierNumber}/invoices"),
)

ROUTES = tuple(Route(method, path, None, PUBLIC) for method, path in _OPERATIONS)
