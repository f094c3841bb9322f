#!/usr/bin/env python3
"""Appends each change to a file, and answers when it is on disk: sink.py FILE"""
import json
import os
import sys

with open(sys.argv[1], "ab") as file:
    for line in sys.stdin.buffer:
        event = json.loads(line)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
        print(json.dumps({"id": event["id"]}), flush=True)
