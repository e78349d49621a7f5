"""The road of one issuance. Each act does what the rows say comes next and commits; then the rows are looked at again.

`walk` goes from act to act: `beginning` (limits, keys, refusal), `sending` (the request that spends), `doubt` (an
answer that was lost), `accepted` (poll, retrieve), `proving` (verify), `anew` (what KSeF dropped), `ending`. They
share `commits` under the subject's lease, `waiting` and `limits`.

Two promises are kept here: a key is on disk before its CSR leaves, and nothing is sent twice while the first may have
arrived.
"""

from klucznik.services.road.commits import LEASE_LASTS, Road
from klucznik.services.road.limits import LIMITS_STAY_FRESH

__all__ = ["LEASE_LASTS", "LIMITS_STAY_FRESH", "Road"]
