"""The tables that are backfilled while they are written: keys of all kinds, and a TOASTed column that updates do not
change.

Each has the columns v, which each change sets to a greater number, n, and body, which is TOASTed.
"""

from typing import NamedTuple

ROWS = 500              # keys of a table; half of them are there at the begin
TOASTED = 2100          # bytes of body at the least: it is stored elsewhere then


class Spec(NamedTuple):
    name: str
    columns: str
    key: tuple          # names of the key's columns
    value: str          # values of these columns for the number {i}, as SQL
    after: str = ""     # SQL after CREATE TABLE
    rewrites: bool = False      # whether ALTER TABLE may rewrite the table
    again: str = ""     # SQL that gives the key of number {i} another text of the same value
    outside: int = 0    # the number to add to move a row out of the row filter
    leaves: tuple = ()  # its partitions, by id

    @property
    def set(self):
        return ", ".join(self.key)

    def where(self, i):
        return f"({self.set}) = ({self.value.format(i=i)})"


def toasted(name):
    return f"ALTER TABLE {name} ALTER body SET STORAGE EXTERNAL; "


SPECS = [
    Spec("plain", "id int PRIMARY KEY", ("id",), "{i}", rewrites=True),
    Spec("composite", "a int, b text, c int, PRIMARY KEY (c, b, a)", ("a", "b", "c"), "{i} % 7, 'b' || {i} % 13, {i}",
         rewrites=True),
    Spec("words", 'k text COLLATE "en-x-icu" PRIMARY KEY', ("k",), "chr(65 + {i} % 26 + 32 * ({i} % 2)) || 'é-_ ä\"' || {i}"),
    Spec("uuids", "k uuid PRIMARY KEY", ("k",), "md5('{i}')::uuid"),
    Spec("numerics", "k numeric PRIMARY KEY", ("k",), "({i} - 200) / 8.0",
         again="CASE WHEN scale(k) > 6 THEN trim_scale(k) ELSE k * 1.00 END"),
    Spec("times", "k timestamptz PRIMARY KEY", ("k",), "'2026-01-01'::timestamptz + {i} * interval '1.000001 s'"),
    Spec("holes", "k bigint PRIMARY KEY", ("k",), "{i}::bigint * {i} * {i} * 1000003 - 9000000000000"),
    Spec("whole", "id int PRIMARY KEY", ("id",), "{i}", "ALTER TABLE whole REPLICA IDENTITY FULL;", rewrites=True),
    Spec("indexed", "code text NOT NULL, id serial PRIMARY KEY", ("code",), "'c' || {i}",
         "CREATE UNIQUE INDEX indexed_code ON indexed (code); ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;"),
    Spec("filtered", "id int PRIMARY KEY", ("id",), "{i}", outside=10_000),
    Spec("root", "id int PRIMARY KEY", ("id",), "{i}", leaves=("low", "high")),
]

SETUP = """
CREATE EXTENSION walspout;
CREATE SEQUENCE versions;
CREATE TABLE bag (a int, n int DEFAULT 0, v bigint, body text);
ALTER TABLE bag REPLICA IDENTITY FULL;
"""


def create(spec):
    by = " PARTITION BY RANGE (id)" if spec.leaves else ""
    sql = f"CREATE TABLE {spec.name} ({spec.columns}, n int DEFAULT 0, v bigint NOT NULL, body text){by};"
    if spec.leaves:
        low, high = spec.leaves
        sql += (f"CREATE TABLE {low} PARTITION OF {spec.name} FOR VALUES FROM (MINVALUE) TO ({ROWS // 2});"
                f"CREATE TABLE {high} PARTITION OF {spec.name} FOR VALUES FROM ({ROWS // 2}) TO (MAXVALUE);")
    return sql + "".join(toasted(leaf) for leaf in spec.leaves or (spec.name,)) + spec.after


def insert(spec, numbers, size=TOASTED):
    """An INSERT of rows with these numbers, as SQL of a set of i."""
    return (f"INSERT INTO {spec.name} ({spec.set}, v, body) SELECT {spec.value.format(i='i')}, nextval('versions'), "
            f"repeat(md5(i::text), {size} / 32 + 1 + i % 3) FROM {numbers} i ON CONFLICT DO NOTHING;")


def late(number):
    """A table that joins later."""
    return Spec(f"late_{number}", "id int PRIMARY KEY", ("id",), "{i}")


def fill():
    return "".join(insert(spec, f"generate_series(1, {ROWS}, 2)") for spec in SPECS) + (
        f"INSERT INTO bag (a, v, body) SELECT i % 50, nextval('versions'), repeat('x', {TOASTED}) FROM generate_series(1, 300) i;")
