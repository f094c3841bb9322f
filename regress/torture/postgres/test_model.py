"""The checker of the torture finds all faults, and nothing else."""

from torture.postgres.model import Change, Version, compare, gaps, replay

KEYS = {"t": ("id",), "bag": ()}


def row(key, v):
    return f'{{"id": {key}, "v": {v}}}'


def changes(*all_):
    """(transaction, op, old, new), a microsecond a transaction."""
    return [Change(number, transaction, transaction, "t", op, old, new)
            for number, (transaction, op, old, new) in enumerate(all_)]


def test_versions_follow_each_other():
    table = replay(changes((1, "i", None, row(1, 1)), (2, "u", row(1, 1), row(1, 2)), (3, "d", row(1, 2), None),
                           (5, "i", None, row(1, 3))), KEYS)["t"]
    assert table.clone() == [row(1, 3)]
    assert table.history() == [Version(row(1, 1), 1, 2, False), Version(row(1, 2), 2, 3, True), Version(row(1, 3), 5, None, False)]
    assert table.append() == [(row(1, 3), None)]
    assert not list(gaps("t", table.history(), ("id",)))


def test_the_last_change_of_a_transaction_counts():
    table = replay(changes((1, "i", None, row(1, 1)), (1, "u", row(1, 1), row(1, 2)), (2, "i", None, row(2, 1)),
                           (2, "d", row(2, 1), None), (3, "d", row(1, 2), None), (3, "i", None, row(1, 4))), KEYS)["t"]
    assert table.history() == [Version(row(1, 2), 1, 3, False), Version(row(1, 4), 3, None, False)]
    assert table.append() == [(row(1, 4), None), (row(2, 1), 2)]


def test_a_key_that_changes_and_a_truncate():
    table = replay(changes((1, "i", None, row(1, 1)), (1, "i", None, row(2, 1)), (2, "d", row(2, 1), None),
                           (3, "u", row(1, 1), row(2, 2)), (4, "u", row(2, 2), row("2.0", 3)), (5, "t", None, None)), KEYS)["t"]
    assert table.clone() == []
    assert sorted(table.history()) == [
        Version(row(1, 1), 1, 3, True), Version(row("2", 1), 1, 2, True), Version(row(2, 2), 3, 4, False),
        Version(row("2.0", 3), 4, 5, True)]
    assert table.append() == [(row("2.0", 3), 5)]


def test_rows_without_a_key_are_there_each_time_that_they_were_written():
    some = [Change(i, i, i, "bag", op, old, new) for i, (op, old, new) in enumerate(
        [("i", None, "{}"), ("i", None, "{}"), ("u", "{}", '{"a": 1}'), ("d", "{}", None)])]
    assert replay(some, KEYS)["bag"].append() == [("{}", None), ("{}", None), ('{"a": 1}', None)]


def test_transactions_count_in_the_order_of_their_commits():
    late = [Change(1, 7, 30, "t", "i", None, row(1, 1)), Change(2, 8, 20, "t", "i", None, row(2, 1)),
            Change(3, 7, 30, "t", "u", row(1, 1), row(1, 2)), Change(4, 9, 40, "t", "u", row(2, 1), row(2, 2))]
    assert replay(late, KEYS)["t"].history() == [
        Version(row(2, 1), 20, 40, False), Version(row(1, 2), 30, None, False), Version(row(2, 2), 40, None, False)]


def test_differences_are_named():
    assert list(compare("t", ["a", "b", "b"], ["b", "c"])) == [
        "t: missing: 1 times a", "t: missing: 1 times b", "t: too much: 1 times c"]
    assert len(list(compare("t", range(100), []))) == 4


def test_versions_that_cannot_be_are_named():
    def found(*versions):
        return " ".join(gaps("t", [Version(row(1, 1), *version) for version in versions], ("id",)))
    assert "overlap" in found((1, 3, False), (2, 4, False))
    assert "overlap" in found((1, None, False), (2, None, False))
    assert "empty" in found((2, 2, False))
    assert "gap" in found((1, 2, False), (3, None, False))
    assert not found((1, 2, True), (3, None, False))
