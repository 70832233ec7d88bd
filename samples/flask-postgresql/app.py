"""Keeps notes in the PostgreSQL database that is bound to the app."""

import json
import os

import psycopg
from flask import Flask, redirect, render_template, request

app = Flask(__name__)


def credentials():
    """Of the first bound service that says it is a PostgreSQL."""
    services = json.loads(os.environ.get("VCAP_SERVICES", "{}"))
    for service in (each for offering in services.values() for each in offering):
        if "postgresql" in service["tags"]:
            return service["credentials"]
    raise SystemExit("no PostgreSQL is bound: cf create-service postgresql small notes-postgresql")


URI = credentials()["uri"]


def connect():
    return psycopg.connect(URI, connect_timeout=5)


def prepare():
    with connect() as connection:
        # Instances that start together do this one after another.
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS notes ("
            "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "text text NOT NULL, written timestamptz NOT NULL DEFAULT now())"
        )


prepare()


@app.get("/")
def index():
    with connect() as connection:
        rows = connection.execute("SELECT text, written FROM notes ORDER BY id DESC LIMIT 100")
        return render_template("index.html", notes=rows.fetchall())


@app.post("/notes")
def add():
    text = request.form.get("text", "").strip()
    if not text:
        return "a note has a text\n", 422
    with connect() as connection:
        connection.execute("INSERT INTO notes (text) VALUES (%s)", [text])
    return redirect("/", 303)


@app.get("/health")
def health():
    """Does not ask the database, whose trouble must not restart the app."""
    return "ok\n"
