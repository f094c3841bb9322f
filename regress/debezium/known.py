"""What the documents of the dialect `debezium` have otherwise than the connector's. docs/dialects.md says why: each difference has
the name of its row in the table there.

Each rule looks at a compare.Difference. It names the members that it is about and what both sides have to have, as narrowly as
it can, so that a mistake is not taken for what is known.
"""

import json

from debezium.compare import MISSING

CLOCK = {("value", name) for name in ("ts_ms", "ts_us", "ts_ns")}


def is_clock(d):
    """The commit's time is never after the clock of who reads it."""
    return d.path in CLOCK and isinstance(d.theirs, int) and isinstance(d.ours, int) and d.theirs > d.ours


def is_sequence(d):
    """The second part is the same."""
    return d.path == ("value", "source", "sequence") and json.loads(d.theirs)[1] == json.loads(d.ours)[1]


KNOWN = [
    ("ts_ms, ts_us, ts_ns outside of source", is_clock),
    ("first part of source.sequence", is_sequence),
]
