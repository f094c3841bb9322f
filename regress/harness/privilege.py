"""Started by root, tests run their servers as another user: Postgres refuses to be root's."""

import os
import pwd


def server_user():
    """The user that servers run as; None if that is the one who runs the tests."""
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
    """Makes a file or a folder the user's."""
    if user:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
