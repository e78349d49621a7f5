"""Stands in for curl on machines that lack it: the few options that the pages use (-s, -f, -i, -X, -d, -H).
Nothing but the tests of pages run it.
"""

from __future__ import annotations

import argparse
import sys
import urllib.error
import urllib.request

parser = argparse.ArgumentParser()
parser.add_argument("-s", action="store_true")
parser.add_argument("-f", action="store_true")
parser.add_argument("-i", dest="shows_headers", action="store_true")
parser.add_argument("-X", dest="method")
parser.add_argument("-d", dest="body")
parser.add_argument("-H", dest="headers", action="append", default=[])
parser.add_argument("url")
options = parser.parse_args()
body = None if options.body is None else options.body.encode()
headers = dict(header.split(": ", 1) for header in options.headers)
request = urllib.request.Request(options.url, body, headers, method=options.method)  # noqa: S310 (a page's own address)
try:
    answer = urllib.request.urlopen(request, timeout=90)  # noqa: S310
except urllib.error.HTTPError as error:
    if options.f:
        sys.exit(22)
    answer = error
with answer:
    if options.shows_headers:
        sys.stdout.write(f"HTTP/1.1 {answer.status}\n{answer.headers}")
        sys.stdout.flush()
    sys.stdout.buffer.write(answer.read())
