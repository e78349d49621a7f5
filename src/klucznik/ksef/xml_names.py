"""Names of XML signatures and XAdES, for making one (`xades`) and for checking one (`signed_document`)."""

from __future__ import annotations

DS_NS = "http://www.w3.org/2000/09/xmldsig#"
XADES_NS = "http://uri.etsi.org/01903/v1.3.2#"
SIGNED_PROPERTIES = "http://uri.etsi.org/01903#SignedProperties"
C14N_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def ds(name: str) -> str:
    return f"{{{DS_NS}}}{name}"


def xades(name: str) -> str:
    return f"{{{XADES_NS}}}{name}"
