"""HTTP face of limits that can be read: /limits/* and /rate-limits (specification 2.7.0, facts.md §4.1).
What is read comes from `limits.py`; what test data may change is in `routes/testdata.py`.
"""

from starlette.responses import Response

from ksef_sandbox import limits
from ksef_sandbox.answers import json_answer
from ksef_sandbox.pipeline import Call, Route
from ksef_sandbox.records import SessionLimits, identity_key
from ksef_sandbox.wire import JsonValue


def _context(call: Call) -> Response:
    found = call.world.context_limits.get(identity_key(call.session.context))
    online = found.online_session if found else limits.SESSION_DEFAULTS
    batch = found.batch_session if found else limits.SESSION_DEFAULTS
    answer: dict[str, JsonValue] = {"onlineSession": _session(online), "batchSession": _session(batch)}
    if call.world.switches.api_version == "2.9":
        collective = found.collective_invoices if found else limits.COLLECTIVE_DEFAULT
        answer["collectiveIdentifier"] = {"maxInvoices": collective}
    return json_answer(answer)


def _session(values: SessionLimits) -> JsonValue:
    return {
        "maxInvoiceSizeInMB": values.max_invoice_size_mb,
        "maxInvoiceWithAttachmentSizeInMB": values.max_invoice_with_attachment_size_mb,
        "maxInvoices": values.max_invoices,
    }


def _subject(call: Call) -> Response:
    found = limits.maxima(call.world, call.session.identity)
    return json_answer(
        {
            "enrollment": {"maxEnrollments": found.enrollments},
            "certificate": {"maxCertificates": found.certificates},
        }
    )


def _rates(call: Call) -> Response:
    rates = limits.effective_rates(call.world, call.session.context)
    if call.world.switches.api_version == "2.9":
        rates = rates | limits.RATES_SINCE_2_9
    return json_answer(
        {
            group: {"perSecond": values.per_second, "perMinute": values.per_minute, "perHour": values.per_hour}
            for group, values in rates.items()
        }
    )


ROUTES = (
    Route("GET", "/limits/context", _context),
    Route("GET", "/limits/subject", _subject),
    Route("GET", "/rate-limits", _rates),
)
