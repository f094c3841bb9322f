"""The program of the exec sink: exec_sink.py FILE. Appends each line to the file, and answers when the line is on disk.

A killed program leaves at most half a line; the next program removes that. Its process id is in FILE.pid.
"""

import json
import os
import sys

path = sys.argv[1]
file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
content = open(path, "rb").read()
os.ftruncate(file, content.rfind(b"\n") + 1)
with open(path + ".pid", "w") as f:
    f.write(str(os.getpid()))
rest = b""
while data := os.read(0, 1 << 16):
    *lines, rest = (rest + data).split(b"\n")
    todo = b"".join(line + b"\n" for line in lines)
    while todo:
        todo = todo[os.write(file, todo):]
    os.fsync(file)
    answers = "".join(json.dumps({"id": json.loads(line)["id"]}) + "\n" for line in lines).encode()
    while answers:
        answers = answers[os.write(1, answers):]
