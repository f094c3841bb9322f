#!/usr/bin/env python3
"""Searches the index: search.py FILE WORDS"""
import sqlite3
import sys

index = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
QUERY = "SELECT rowid, snippet(articles, -1, '[', ']', '…', 12) FROM articles WHERE articles MATCH ? ORDER BY rank"
for rowid, text in index.execute(QUERY, (" ".join(sys.argv[2:]),)):
    print(rowid, text, sep="\t")
