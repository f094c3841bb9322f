"""The fuzzer of options knows every option that the plugin has."""

import fuzz_options


def test_the_fuzzer_knows_all_options():
    options = fuzz_options.options_of_the_plugin()
    assert len(options) > 20
    assert sorted(options) == sorted(fuzz_options.OPTIONS)


def test_the_fuzzer_knows_which_dialect_an_option_is_of(db):
    db.psql("CREATE TABLE t (id int PRIMARY KEY)")
    slot = db.create_slot()
    for name in fuzz_options.OPTIONS:
        value = "" if name in fuzz_options.TEXTS else fuzz_options.GOOD_VALUES[name][0]
        if name in ("dialect", "publications", "format"):
            continue
        for dialect in fuzz_options.WORDS["dialect"]:
            options = [("dialect", dialect), (name, value)]
            words = [word for pair in options for word in pair]
            try:
                db.server.query("SELECT data FROM pg_logical_slot_peek_changes(%s, NULL, NULL, VARIADIC %s)", db.name,
                                (slot, words))
                accepted = True
            except Exception as error:
                assert error.pgcode == "22023", error
                accepted = False
            assert accepted == fuzz_options.goes_together(options), options
