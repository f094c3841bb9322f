"""What a team writes in an afternoon instead of walspout: pg_recvlogical with wal2json, piped into this program.

    pg_recvlogical … -P wal2json -o format-version=2 -f - | wal2json_loop.py PORT STREAM

Adds each change to a Redis stream. Lines that arrive together go in one pipeline.

pg_recvlogical confirms what it has written into the pipe. A kill of both programs therefore loses the lines in the pipe,
and a restart repeats what pg_recvlogical had not confirmed yet.
"""

import os
import sys

import redis

CHUNK = 1 << 18             # bytes


def main():
    client = redis.Redis(host="127.0.0.1", port=int(sys.argv[1]))
    stream = sys.argv[2]
    rest = b""
    while True:
        chunk = os.read(0, CHUNK)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b"\n")
        pipeline = client.pipeline(transaction=False)
        for line in lines:
            # Not the begin and the end of a transaction.
            if not line.startswith((b'{"action":"B"', b'{"action":"C"')):
                pipeline.xadd(stream, {"data": line})
        pipeline.execute()


if __name__ == "__main__":
    main()
