"""A receiver of webhooks: gunicorn --threads 4 receiver:app"""
import os

import psycopg2.pool
from flask import Flask, request
from standardwebhooks import Webhook, WebhookVerificationError

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 16 << 20
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
pool = psycopg2.pool.ThreadedConnectionPool(1, 8, "dbname=notices")


def handle(cursor, event):
    """The work shares a transaction with the event's id: both are committed, or neither."""
    if event["op"] in ("c", "u"):
        row = event["after"]
        cursor.execute("INSERT INTO notices VALUES (%s, %s)", (row["id"], row["status"]))


@app.post("/hook")
def hook():
    try:
        event = webhook.verify(request.get_data(), request.headers)
    except (WebhookVerificationError, ValueError):
        return "no valid signature", 401
    database = pool.getconn()
    try:
        with database, database.cursor() as cursor:  # commits, or rolls back
            cursor.execute("INSERT INTO processed VALUES (%s) ON CONFLICT DO NOTHING", (request.headers["webhook-id"],))
            if cursor.rowcount == 1:
                handle(cursor, event)
    finally:
        pool.putconn(database, close=database.closed)
    return "", 204  # only now; any error before is a 500, and the event comes again
