"""A service broker for the walk with the real CLI: `broker.py FILE` writes its port to FILE.

What is made of the plan `slow` takes some seconds; the plan `broken` fails in its own words.
"""

import http.server
import json
import os
import sys
import time
import urllib.parse

# Longer than the CLI waits before it asks for the first time.
SLOW = 6
polls = {}


def plan(name, free=True):
    return {
        "id": name + "-id",
        "name": name,
        "description": "a " + name + " one",
        "free": free,
        "maintenance_info": {"version": "2.0.0"},
    }


def away():
    """A plan that runs as the image $OFFLINE_IMAGE when this broker is not asked."""
    image, tag = os.environ["OFFLINE_IMAGE"].split(":")
    offline = {"image": image, "tag": tag, "credentials": {"page": "http://{{ host }}:{{ port.main }}/"}}
    return dict(plan("away"), metadata={"x-cflite-offline": offline})


CATALOG = {
    "services": [
        {
            "id": "db-id",
            "name": "db",
            "description": "a database",
            "bindable": True,
            "plan_updateable": True,
            "instances_retrievable": True,
            "bindings_retrievable": True,
            "tags": ["sql"],
            "metadata": {"shareable": True, "documentationUrl": "http://docs.example"},
            "plans": [plan("small"), plan("large", free=False), plan("slow"), plan("broken"), away()],
        },
        {
            "id": "proxy-id",
            "name": "proxy",
            "description": "a route service",
            "bindable": True,
            "requires": ["route_forwarding"],
            "plans": [dict(plan("free"), id="proxy-free-id")],
        },
    ]
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        chosen = body.get("plan_id") or query.get("plan_id")
        if url.path == "/v2/catalog":
            return self.answer(200, CATALOG)
        if url.path.endswith("/last_operation"):
            first = polls.setdefault((url.path, query.get("operation")), time.monotonic())
            seconds = time.monotonic() - first
            state = "succeeded" if seconds >= SLOW else "in progress"
            return self.answer(200, {"state": state, "description": "second %d" % seconds})
        if "/service_bindings/" in url.path:
            if self.command == "PUT":
                made = {"credentials": {"uri": "db://user:secret@host/name"}}
                if body.get("bind_resource", {}).get("route"):
                    made = {"route_service_url": "https://proxy.example"}
                return self.answer(201, made)
            return self.answer(200, {"parameters": {"role": "reader"}})
        if self.command == "GET":
            return self.answer(200, {"parameters": {"size": 1}})
        if chosen == "broken-id" and self.command == "PUT":
            return self.answer(400, {"description": "there is no room"})
        if chosen == "slow-id":
            return self.answer(202, {"operation": "slow"})
        return self.answer(201 if self.command == "PUT" else 200, {})

    do_GET = do_PUT = do_PATCH = do_DELETE = handle_any


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(sys.argv[1], "w", encoding="utf-8") as file:
    file.write("%d\n" % server.server_port)
server.serve_forever()
