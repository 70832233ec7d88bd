"""Says which instance answered, and what Cloud Foundry told it about itself."""

import json
import os

from flask import Flask, jsonify

app = Flask(__name__)


@app.get("/")
def index():
    application = json.loads(os.environ.get("VCAP_APPLICATION", "{}"))
    return jsonify(
        message="Hello from Flask on cflite",
        application=application.get("name"),
        instance=int(os.environ.get("CF_INSTANCE_INDEX", 0)),
        memory=os.environ.get("MEMORY_LIMIT"),
        services=sorted(json.loads(os.environ.get("VCAP_SERVICES", "{}"))),
    )


@app.get("/env/<name>")
def variable(name):
    value = os.environ.get(name)
    return (value, 200) if value is not None else (f"{name} is not set", 404)
