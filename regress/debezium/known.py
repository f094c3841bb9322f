"""The known differences between documents of the dialect `debezium` and those of the connector. docs/dialects.md says
why: each difference has the name of its row in the table there.

Each rule looks at a compare.Difference. A rule names the members that it covers, and what both sides must have. It is
as narrow as possible, so that it does not hide a mistake.
"""

import json
import uuid

from debezium.compare import EMPTY, KEYLESS, MISSING, table_of

CLOCK = {("value", name) for name in ("ts_ms", "ts_us", "ts_ns")}

# Columns of the table odd_types that the connector leaves out.
LEFT_OUT = {"composite", "box", "circle", "line", "lseg", "path", "polygon", "int4multirange", "pg_lsn", "jsonpath", "regclass",
            "composites", "points"}
# Columns of the table mixed that the connector leaves out.
LEFT_OUT_ARRAYS = {"money_array", "vbits", "intervals", "xmls", "name_array", "prices", "cheaps", "words"}
# The default of each column of the table odd_defaults, and the dialect's value in its place.
DEFAULTS = {"n": (7, 0), "t": ("so", ""), "ok": (True, False)}


def is_clock(d):
    """The commit's time is never after the reader's clock. A message outside of transactions has no commit."""
    return d.path in CLOCK and isinstance(d.theirs, int) and isinstance(d.ours, int) and d.theirs > d.ours


def is_sequence(d):
    """The second part is the same."""
    return d.path == ("value", "source", "sequence") and json.loads(d.theirs)[1] == json.loads(d.ours)[1]


def is_time_of_message(d):
    return d.path[:2] == ("value", "source") and d.path[-1] in ("ts_ms", "ts_us", "ts_ns") and d.ours == 0 and \
        d.context["value"]["op"] == "m" and d.context["value"]["source"]["txId"] is None


def is_transaction(d):
    """The number of the transaction before the colon is the same."""
    is_one = d.path in (("value", "id"), ("value", "transaction", "id")) or \
        (d.path == ("key", "id") and d.context["value"].get("status") in ("BEGIN", "END"))
    return is_one and d.theirs.split(":")[0] == d.ours.split(":")[0]


def is_primary_key(d):
    return table_of((None, d.context["value"])) == "by_other_index" and d.path in (("key", "a"), ("key", "b")) and \
        (d.path[1] == "a") == (d.ours is MISSING) and (d.path[1] == "b") == (d.theirs is MISSING)


def is_left_out(d):
    return table_of((None, d.context["value"])) == "odd_types" and d.path[:2] == ("value", "after") and \
        d.path[2] in LEFT_OUT and d.theirs is MISSING


def is_name(d):
    return d.path == ("value", "after", "name") and d.theirs is None and d.ours == "a name"


def is_array_of_enums(d):
    return d.path == ("value", "after", "e") and d.theirs is None and d.ours == ["sad", None]


def is_default(d):
    return table_of((None, d.context["value"])) == "odd_defaults" and d.path[:2] == ("value", "before") and \
        DEFAULTS.get(d.path[2]) == (d.theirs, d.ours)


def is_origin(d):
    return d.path == ("value", "source", "origin_lsn") and d.theirs == 0xABCDEF and d.ours is None


def is_messages_count(d):
    """The connector lists each message as a separate table, with a different name each time. The sum is the same."""
    return d.path == ("value", "data_collections") and isinstance(d.theirs, list) and isinstance(d.ours, list) and \
        [one for one in d.theirs if "LogicalDecodingMessageId@" not in one["data_collection"]] == d.ours


def is_array(d):
    """Null says that the array is NULL, which is not true."""
    return table_of((None, d.context["value"])) == "toasted" and d.path[:2] == ("value", "after") and len(d.path) == 3 and \
        d.theirs is None and isinstance(d.ours, list)


def is_uuids(d):
    """The connector's value is computed from the placeholder."""
    return d.path == ("value", "after", "ua", 0) and uuid.UUID(d.theirs).version == 3 and isinstance(d.ours, str)


def of_mixed(d, columns):
    return table_of((None, d.context["value"])) == "mixed" and d.path[:2] in (("value", "after"), ("value", "before")) and d.path[2] in columns


def is_left_out_array(d):
    return of_mixed(d, LEFT_OUT_ARRAYS) and d.theirs is MISSING and (isinstance(d.ours, list) or d.ours is None)


def is_array_of_bits(d):
    return of_mixed(d, {"bits", "bits1"}) and d.theirs is None and d.ours in (["BQ==", None], [True, False])


def is_array_of_arrays(d):
    return of_mixed(d, {"two"}) and d.theirs is None and d.ours in ([1, 2], [3, None])


def is_array_of_timetz(d):
    return of_mixed(d, {"tz_array"}) and (d.theirs, d.ours) == ("09:22:33Z", "09:22:33.5Z")


def is_negative_scale(d):
    """12300 as bytes, as a string or as a double."""
    return of_mixed(d, {"n_neg"}) and d.theirs != d.ours and d.ours in ("MAw=", "12300", 12300)


KNOWN = [
    ("ts_ms, ts_us, ts_ns outside of source", is_clock),
    ("first part of source.sequence", is_sequence),
    ("second part of a transaction's id", is_transaction),
    ("source.ts_ms, ts_us, ts_ns of a message outside of transactions", is_time_of_message),
    ("keys of a table with REPLICA IDENTITY USING INDEX and another primary key", is_primary_key),
    ("types that the connector does not know: composite, geometric but point, multirange, pg_lsn and so on", is_left_out),
    ("arrays of types that the connector does not know, of domains, money, interval, xml, name and bit varying", is_left_out_array),
    ("arrays of bit", is_array_of_bits),
    ("arrays of several dimensions", is_array_of_arrays),
    ("arrays of timetz", is_array_of_timetz),
    ("numeric with a negative scale", is_negative_scale),
    ("columns of the type name", is_name),
    ("arrays of enums", is_array_of_enums),
    ("before of a delete where the WAL has the key only: columns that cannot be NULL, but have a default", is_default),
    ("source.origin_lsn", is_origin),
    ("an array of uuid that is not in the WAL", is_uuids),
    ("an array of other types that is not in the WAL, such as double precision[]", is_array),
    ("data_collections of an END with messages", is_messages_count),
    (EMPTY, lambda _: False),
    (KEYLESS, lambda _: False),
]

# Rows of that table that no event can show.
UNTESTED = {"changes of rows without identity", "timetz with seconds in its zone, such as -03:30:52", "domains over an enum"}
