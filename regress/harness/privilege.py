"""Tests that root starts run their servers as another user, because Postgres refuses to run as root."""

import os
import pwd


def server_user():
    """The user of the servers; None if that is the user of the tests."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def run_as(user):
    """Arguments for subprocess."""
    if not user:
        return {}
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": groups}


def give(path, user):
    """Makes that user the owner of a file or a folder."""
    if user:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
