#!/usr/bin/python3
"""Fuzzes the slot options of the plugin in a real server.

    regress/fuzz_options.py [--seconds N] [--seed N]

Random, mutated and good names and values go in through the SQL function and through START_REPLICATION. The server must
answer with changes, or reject them and say what would have been right. It must never crash or report an internal error,
and the session's settings must not change. The seed is printed: with it a run makes the same calls in the same order.
"""

import argparse
import collections
import os
import random
import re
import sys
import time

sys.dont_write_bytecode = True
from harness import postgres as pg  # noqa: E402
import psycopg2  # noqa: E402
import psycopg2.extras  # noqa: E402

WORDS = {
    "format": ["json", "frames"],
    "origin": ["any", "none"],
    "omit": ["id", "op", "schema", "table", "ts", "xid", "origin"],
    "numbers": ["json", "string", "safe"],
    "schema_format": ["walspout", "avro"],
    "dialect": ["walspout", "wal2json", "debezium", "row", "psql-streamer", "pg2sink", "cloudevents", "sequin"],
    "decimal.handling.mode": ["precise", "string", "double"],
    "time.precision.mode": ["adaptive", "adaptive_time_microseconds", "connect", "isostring"],
    "skipped.operations": ["c", "u", "d", "t", "none"],
}
BOOLEANS = ["messages", "transactions", "user_casts", "schemas", "include-lsn", "include-pk", "include-timestamp",
            "include-transaction", "include-types", "include-xids", "provide.transaction.metadata"]
NUMBERS = {"batch_bytes": (1, 16 * 1024 * 1024), "max_value_bytes": (0, 2**31 - 1),
           "max_depth": (0, 2**31 - 1), "proto_version": (2, 2)}
LISTS = ["publications", "message_prefixes", "columns", "set"]
TEXTS = ["host", "topic.prefix", "unavailable.value.placeholder"]    # any value is good
OPTIONS = [*WORDS, *BOOLEANS, *NUMBERS, *LISTS, *TEXTS, "format-version"]

# The dialects that an option goes with. Options that are not here go with all of them.
OWN = {
    "wal2json": ["format-version", "include-lsn", "include-pk", "include-timestamp", "include-transaction", "include-types",
                 "include-xids"],
    "debezium": ["decimal.handling.mode", "provide.transaction.metadata", "skipped.operations", "time.precision.mode",
                 "topic.prefix", "unavailable.value.placeholder"],
}
GOES_WITH = {
    **{name: [dialect] for dialect, names in OWN.items() for name in names},
    "omit": ["walspout"], "schemas": ["walspout"], "schema_format": ["walspout"], "host": ["psql-streamer", "cloudevents"],
    "numbers": [dialect for dialect in WORDS["dialect"] if dialect not in OWN],
    "user_casts": [dialect for dialect in WORDS["dialect"] if dialect not in OWN],
}
WITH_TRANSACTIONS = ["walspout", "wal2json", "debezium"]
TRUE = ["true", "on", "1", "yes"]
PUBLICATIONS = ["p", "q", '"Odd, name"']

# Options that must always be accepted.
GOOD_VALUES = {
    "format": ["json", "frames", "JSON"],
    "origin": ["any", "none"],
    "omit": ["", "id", "ts,xid", " schema , table ", "origin,op"],
    "messages": ["true", "false", "on", "off", "1", "0", "yes", "no"],
    "transactions": ["true", "false"],
    "user_casts": ["true", "false"],
    "batch_bytes": ["1", "65536", "64kB", "16MB"],
    "max_value_bytes": ["0", "1", "1MB", "2147483647"],
    "max_depth": ["0", "2", "64", "10000", "2147483647"],
    "numbers": ["json", "string", "safe", "Safe"],
    "proto_version": ["2"],
    **{name: ["true", "off"] for name in BOOLEANS if name not in ("messages", "transactions", "user_casts")},
    **{name: WORDS[name] for name in ("schema_format", "dialect", "decimal.handling.mode", "time.precision.mode")},
    "skipped.operations": ["", "c", "c, u,d", "none", "T"],
    "format-version": ["2"],
    "publications": ["p", "p,q", "P", '"p"', '"Odd, name",q', " p , q "],
    "columns": ["public.t: body omit", "*.*: b* keep 2 as \"a, b\", body truncate 3;", '"public".t:body mask "x"'],
    "set": ["sid=eu-1", 'a=1, "b, c" = "d""e"', "a="],
    "message_prefixes": ["outbox", "outbox,audit", "a b", 'Mail,"a,b"', '"Q""", " sp "', '""'],
}

# What message_prefixes takes: prefixes in quotes, and prefixes without that are not empty.
SPACE = r"[ \t\n\r\f]*"
PREFIX = SPACE + r'(?:"(?:[^"]|"")*"|[^", \t\n\r\f][^,]*)' + SPACE
PREFIXES = re.compile(f"{PREFIX}(?:,{PREFIX})*")

# Parts of values that could confuse a parser.
PIECES = ["", " ", ",", ",,", '"', '""', "'", "\\", "\\n", "\n", "\r\n", "\t", "\x01", "\x7f",
          "\xa0", "%", "%s", "%n%n", "%*d", "$1", ";", "--", "/*", "NULL", "null", "{", "}", "=",
          "ä", "日本", "\U0001f418", "\u202e", "\ufeff", "e\u0301", "\uffff",
          "0", "1", "-1", "+1", "00", "0x10", "1e3", "1.5", "1e400", "nan", "inf", "-0", "1 kB",
          "2147483647", "2147483648", "-2147483649", "9223372036854775808", "99999999999999999999",
          "kB", "MB", "TB", "B", "true", "TRUE", "tru", "t", "of", "o", "json", "frames", "p", "q",
          "nothing_of_that_name", "pg_catalog", "x" * 63, "x" * 64, "ä" * 40, "x" * 300]

# SQLSTATEs of a refusal: invalid_parameter_value, syntax_error, undefined_object.
REFUSALS = ["22023", "42601", "42704"]

SETTINGS = """SELECT string_agg(name || '=' || coalesce(setting, '') || ' ' || source, E'\n'
              ORDER BY name) FROM pg_settings"""
SESSION_SETTINGS = {"DateStyle": ["German", "ISO, YMD"], "IntervalStyle": ["iso_8601", "postgres"],
                    "TimeZone": ["Asia/Kathmandu", "UTC"], "bytea_output": ["escape", "hex"],
                    "extra_float_digits": ["-10", "3"], "search_path": ["odd, public", "public"],
                    "standard_conforming_strings": ["on"], "xmloption": ["document"],
                    "row_security": ["off", "on"], "client_encoding": ["UTF8"]}

SETUP = """
    CREATE TABLE t (id int PRIMARY KEY, body text);
    CREATE PUBLICATION p FOR TABLE t;
    CREATE PUBLICATION q FOR ALL TABLES;
    CREATE PUBLICATION "Odd, name" FOR TABLE t;
"""
CHANGES = """
    INSERT INTO t SELECT i, repeat('x', i) FROM generate_series(1, 5) i;
    UPDATE t SET body = E'two\\n' WHERE id = 2;
    DELETE FROM t WHERE id = 3;
    SELECT pg_logical_emit_message(true, 'outbox', '{"a": 1}'),
           pg_logical_emit_message(false, 'audit', 'b');
    TRUNCATE t;
"""


class Finding(Exception):
    """The server did what it must not."""


# Inputs


def mutate(rng, text):
    """Text with a few characters changed, left out, doubled or put in."""
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[at + 1:]
        elif kind == 2:
            text = text[:at] + chr(rng.choice([rng.randint(1, 127), rng.randint(128, 0xd7ff)])) + \
                text[at + 1:]
        elif kind == 3:
            text = text[:at].swapcase() + text[at:]
        else:
            text = text[:at] + text[max(at - 2, 0):]
    return text


def some_name(rng):
    kind = rng.randrange(10)
    if kind < 7:
        return rng.choice(OPTIONS)
    if kind < 9:
        return mutate(rng, rng.choice(OPTIONS))
    return rng.choice(PIECES)


def some_value(rng, name):
    kind = rng.randrange(10)
    if kind < 4:
        return rng.choice(GOOD_VALUES.get(name) or PIECES)
    if kind < 6:
        return mutate(rng, rng.choice(rng.choice(list(GOOD_VALUES.values()))))
    if kind < 7:
        low, high = rng.choice(list(NUMBERS.values()))
        number = rng.choice([low, high, 2**rng.randint(0, 70)]) + rng.randint(-1, 1)
        return f"{number}{rng.choice(['', '', 'B', 'kB', 'MB', 'GB', ' kB ', 'kb', 's'])}"
    if kind < 9:
        return rng.choice(["", ","]).join(rng.choice(PIECES) for _ in range(rng.randint(0, 5)))
    return ",".join(rng.choice(PIECES) for _ in range(rng.randint(0, 300)))


def some_options(rng):
    """Pairs of name and value; a value may be None, which only START_REPLICATION can say."""
    count = rng.choice([0, 1, 1, 1, 1, 2, 2, 3, 5, 12])
    options, names = [], None
    if rng.randrange(2):
        dialect = rng.choice(WORDS["dialect"])
        options.append(("dialect", dialect))
        names = [name for name in OPTIONS if dialect in GOES_WITH.get(name, WORDS["dialect"])]
    for _ in range(count):
        name = rng.choice(names) if names and rng.randrange(10) else some_name(rng)
        options.append((name, some_value(rng, name)))
    return options


# Oracles


def goes_together(options):
    """Whether the options are of the dialect. The dialect itself has to be good."""
    given = dict(options)
    dialect = (given.get("dialect") or "walspout").lower()
    return all(dialect in GOES_WITH.get(name, WORDS["dialect"]) for name in given) and not (
        dialect not in WITH_TRANSACTIONS and given.get("transactions") in (None, *TRUE) and "transactions" in given)


def is_good(name, value):
    if name in TEXTS:
        return value is not None
    if name == "message_prefixes" and value is not None and "\v" not in value:
        return bool(PREFIXES.fullmatch(value))
    return value in GOOD_VALUES.get(name, [])


def must_be_accepted(options):
    names = [name for name, _ in options]
    return (len(set(names)) == len(names)
            and all(is_good(name, value) for name, value in options) and goes_together(options))


def must_be_refused(options):
    names = [name for name, _ in options]
    return (len(set(names)) < len(names) or any(name not in OPTIONS for name in names)
            or (is_good("dialect", dict(options).get("dialect", "walspout")) and not goes_together(options))
            or any(name == "message_prefixes" and value is not None and "\v" not in value
                   and not is_good(name, value) for name, value in options))


def good_values_shown(name, hint):
    """Whether a hint shows what would have been right for an option."""
    if name in WORDS:
        return all(word in hint for word in WORDS[name])
    if name in BOOLEANS:
        return "true" in hint and "false" in hint
    if name in NUMBERS:
        return all(str(limit) in hint for limit in NUMBERS[name])
    if name in ("columns", "set"):
        return " as in " in hint or "walspout.hash_key" in hint or "VALUE" in hint
    if name == "format-version":
        return "2" in hint
    return "separated by commas" in hint or "VALUE" in hint


def check_refusal(state, message, hint, options):
    """Raises unless the error names the wrong option and lists what is right."""
    if state not in REFUSALS:
        raise Finding(f"SQLSTATE {state}")
    hint = hint or ""
    if message.startswith("publication ") and state == "42704":
        if "CREATE PUBLICATION" not in hint or '"publications"' not in hint:
            raise Finding("hint does not say how to fix it")
        if "publications" not in [name for name, _ in options]:
            raise Finding("publication missing that the options do not name")
        return
    if "has no documents around a transaction" in message:
        if goes_together(options) or 'option "transactions"' not in hint:
            raise Finding("the dialect has such documents, or the hint does not name the option")
        return
    culprits = [name for name, _ in options if f'option "{name}"' in message]
    if not culprits:
        raise Finding("message does not name the option")
    if "unrecognized" in message:
        if any(name in OPTIONS for name in culprits):
            raise Finding("option that is known is called unrecognized")
        if not all(name in hint for name in OPTIONS if GOES_WITH.get(name, [None])[0] not in OWN):
            raise Finding("hint does not list the options")
    elif "more than once" in message:
        if all([name for name, _ in options].count(name) < 2 for name in culprits):
            raise Finding("option was given once only")
    elif "needs a value" in message:
        if not any((name, None) in options for name in culprits):
            raise Finding("option has a value")
    elif re.search(" is for dialect | has no meaning in dialect | does not go with ", message):
        if goes_together(options) or "eave" not in hint:
            raise Finding("options are of the dialect, or the hint does not say how to fix it")
    elif not any(good_values_shown(name, hint) for name in culprits):
        raise Finding("hint does not list good values")


class Fuzzer:
    def __init__(self, server, rng):
        self.server = server
        self.rng = rng
        self.answers = collections.Counter()
        self.log_size = len(server.log())
        self.session = None
        self.walsender = None
        for slot in ("sql", "stream"):
            server.create_slot(slot)
        server.psql(CHANGES)
        self.new_session()

    def new_session(self):
        """A session with settings of its own."""
        if self.session:
            self.session.close()
        self.session = self.server.connect()
        with self.session.cursor() as cursor:
            for name, values in SESSION_SETTINGS.items():
                cursor.execute(f"SET {name} = {self.rng.choice(values)}" if name == "search_path"
                               else f"SET {name} = '{self.rng.choice(values)}'")
            cursor.execute(SETTINGS)
            self.settings = cursor.fetchone()[0]

    def refused(self, error, options):
        if error.pgcode is None:
            raise Finding(f"connection lost: {error}")
        if error.diag.severity_nonlocalized not in (None, "ERROR"):
            raise Finding(f"severity {error.diag.severity_nonlocalized}")
        check_refusal(error.pgcode, error.diag.message_primary, error.diag.message_hint, options)
        if must_be_accepted(options):
            raise Finding("options that are good are refused")
        self.answers[error.pgcode] += 1

    def accepted(self, options):
        if must_be_refused(options):
            raise Finding("options that are wrong are accepted")
        self.answers["accepted"] += 1

    def call_function(self, options):
        """Through SQL: text for format json, bytea for frames."""
        function = self.rng.choice(["pg_logical_slot_peek_changes",
                                    "pg_logical_slot_peek_binary_changes"])
        array = [part for pair in options for part in pair]
        with self.session.cursor() as cursor:
            try:
                cursor.execute(f"SELECT data FROM {function}('sql', NULL, NULL, "
                               "VARIADIC %s::text[])", (array,))
                rows = cursor.fetchall()
            except psycopg2.Error as error:
                text_asked = function == "pg_logical_slot_peek_changes"
                # The server's own: binary output, and a function for text.
                if text_asked and error.pgcode == "0A000" and ("format", "frames") in [
                        (name, (value or "").lower()) for name, value in options]:
                    self.answers["0A000"] += 1
                else:
                    self.refused(error, options)
            else:
                self.accepted(options)
                if not options and len(rows) != 10:
                    raise Finding(f"{len(rows)} rows without an option")
            cursor.execute(SETTINGS)
            after = cursor.fetchone()[0]
        if after != self.settings:
            lines = set(self.settings.split("\n")) ^ set(after.split("\n"))
            raise Finding("settings have changed: " + ", ".join(sorted(lines)))

    def stream(self, options):
        """Through START_REPLICATION: names may stand without a value."""
        options = [(name, None if self.rng.randrange(5) == 0 else value)
                   for name, value in options if 0 < len(name.encode()) < 64]
        if not self.walsender:
            self.walsender = psycopg2.connect(
                host=self.server.host, port=self.server.port, user=pg.SUPERUSER, dbname="postgres",
                connection_factory=psycopg2.extras.LogicalReplicationConnection)
        listed = ", ".join(
            '"' + name.replace('"', '""') + '"' +
            ("" if value is None else " '" + value.replace("'", "''") + "'")
            for name, value in options)
        command = 'START_REPLICATION SLOT "stream" LOGICAL 0/0' + (f" ({listed})" if listed else "")
        try:
            with self.walsender.cursor() as cursor:
                cursor.start_replication_expert(command)
        except psycopg2.Error as error:
            self.refused(error, options)
            return
        self.accepted(options)
        # It streams, and only the end of the connection ends that.
        self.walsender.close()
        self.walsender = None
        pg.wait_until(lambda: not self.server.walsender("stream"), every=0.005,
                      what="end of the walsender")

    def check_log(self):
        """Raises if a server process has failed in a way that no client could see."""
        log = self.server.log()[self.log_size:]
        for bad in ("PANIC:", "FATAL:  ", "terminated by signal", "TRAP:", "XX000"):
            if bad in log:
                raise Finding(f"{bad.strip()} in the server's log:\n{self.server.log_tail()}")

    def run(self, seconds):
        """Calls until the time is over; returns the number of calls."""
        end = time.monotonic() + seconds
        calls = 0
        while time.monotonic() < end:
            options = some_options(self.rng)
            through = self.rng.choice([self.call_function] * 9 + [self.stream])
            try:
                through(options)
                if calls % 100 == 99:
                    self.check_log()
                    self.new_session()
            except (Finding, psycopg2.Error, TimeoutError) as e:
                raise Finding(f"{e}\ncall {calls}, {through.__name__}: {options!r}\n"
                              f"{self.last_words(e)}") from None
            calls += 1
        self.check_log()
        return calls

    def last_words(self, error):
        return "" if "server's log" in str(error) else self.server.log_tail(10)


def options_of_the_plugin():
    """Their names, as its source has them."""
    with open(os.path.join(pg.TOP, "plugin", "options.c")) as f:
        table = f.read().split("static const OptionSpec specs[] = {\n")[1].split("\n};")[0]
    return re.findall(r'^\t\{"([^"]+)", parse_', table, re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=10, help="for how long (10)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the random numbers")
    args = parser.parse_args()

    pg.exit_on_sigterm()
    print(f"fuzz_options: {args.seconds:g} s, seed {args.seed}", flush=True)
    with pg.WorkDir() as work:
        server = pg.Cluster(pg.Installation(work), conf={"log_error_verbosity": "verbose"})
        server.start()
        server.psql(SETUP)
        fuzzer = Fuzzer(server, random.Random(args.seed))
        try:
            calls = fuzzer.run(args.seconds)
        except Finding as finding:
            sys.exit(f"fuzz_options: seed {args.seed}: {finding}")
    answers = ", ".join(f"{answer} {count}" for answer, count in sorted(fuzzer.answers.items()))
    print(f"fuzz_options: {calls} calls: {answers}")


if __name__ == "__main__":
    main()
