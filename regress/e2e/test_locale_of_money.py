"""Money within other types does not depend on lc_monetary, whichever path the changes take."""

import glob
import os
import subprocess

from harness import postgres as pg
import pytest

# Made here: a machine may have no other locale than C.
MONETARY = """
LC_MONETARY
int_curr_symbol "<U0058><U0058><U0058><U0020>"
currency_symbol "<U0058>"
mon_decimal_point "<U002C>"
mon_thousands_sep "<U002E>"
mon_grouping 3;3
positive_sign ""
negative_sign "<U002D>"
int_frac_digits 2
frac_digits 2
p_cs_precedes 0
p_sep_by_space 1
n_cs_precedes 0
n_sep_by_space 1
p_sign_posn 1
n_sign_posn 1
END LC_MONETARY
"""
CATEGORIES = ["CTYPE", "COLLATE", "TIME", "NUMERIC", "MESSAGES", "PAPER", "NAME", "ADDRESS",
              "TELEPHONE", "MEASUREMENT", "IDENTIFICATION"]


@pytest.fixture
def foreign():
    """A server whose databases have a locale that prints money in its own way."""
    with pg.WorkDir() as work:
        folder = work.mkdir("locales", 0o755)
        source = os.path.join(folder, "source")
        with open(source, "w") as f:
            f.write(MONETARY + "".join(f'LC_{c}\ncopy "POSIX"\nEND LC_{c}\n' for c in CATEGORIES))
        subprocess.run(["localedef", "-c", "-i", source, os.path.join(folder, "xx_XX")],
                       capture_output=True)
        for path in glob.glob("/usr/lib/locale/C.*"):      # the C library may have it built in
            os.symlink(path, os.path.join(folder, os.path.basename(path)))
        work.own_tree(folder)
        server = pg.Cluster(pg.Installation(work))
        server.env["LOCPATH"] = folder
        yield server


def test_money_in_ranges(foreign):
    foreign.start()
    foreign.psql("""
        CREATE TYPE prices AS RANGE (subtype = money);
        CREATE TABLE t (id int, m money, r prices, rs prices[]);
    """)
    foreign.create_slot("slot")
    foreign.psql("INSERT INTO t VALUES (1, 1234.5::numeric, prices(1::money, 1234.5::numeric::money),"
                 " ARRAY[prices(1::money, NULL)])")
    foreign.psql("ALTER DATABASE postgres SET lc_monetary = 'xx_XX'")
    assert foreign.value("SELECT 1234.5::numeric::money::text") == "1.234,50 X"
    data = foreign.value("SELECT data FROM pg_logical_slot_peek_changes('slot', NULL, NULL)")
    assert '"r":"[$1.00,\\"$1,234.50\\")","rs":["[$1.00,)"]' in data
    assert foreign.value("SELECT data || 1234.5::numeric::money::text FROM "
                         "pg_logical_slot_peek_changes('slot', NULL, NULL)").endswith("1.234,50 X")
