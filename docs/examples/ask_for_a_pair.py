"""Asks for a pair of certificates for a company, and says which ways out there are where KSeF's limits refuse it.

KLUCZNIK_KEY=klk_… python docs/examples/ask_for_a_pair.py http://localhost:8080 5265877635
"""

from __future__ import annotations

import os
import sys

from klucznik_client import Client, Refused


def main(url: str, nip: str) -> int:
    with Client(url, os.environ["KLUCZNIK_KEY"], language="en") as klucznik:
        try:
            limits = klucznik.get_limits(nip)["limits"]
        except Refused as refused:
            print(f"Not now: {refused.problem['detail']}")
            return 1
        print(f"requests left: {limits['enrollment']['remaining']}, slots left: {limits['certificate']['remaining']}")
        ordered = klucznik.order_issuance({"nip": nip, "another_pair": True}, prefer="wait=60")
        for certificate in ordered["certificates"]:
            print(f"{certificate['type']}: {certificate['serial']}, until {certificate['valid_to']}")
        issuance = ordered["issuance"]
        print("a valid pair is held already" if issuance is None else f"the issuance is {issuance['state']}")
        if issuance is None or issuance["state"] != "refused":
            return 0
        for remedy in klucznik.get_remedies(issuance["id"])["remedies"]:
            print(f"- {remedy['title']}: {remedy['effect']}")
        return 3


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
