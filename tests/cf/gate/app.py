"""A route service: sends each request on to where the router says, and marks the answer."""

import http.server
import os
import ssl
import urllib.error
import urllib.request

UNTRUSTED = ssl._create_unverified_context()
HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Gate(http.server.BaseHTTPRequestHandler):
    def forward(self):
        url = self.headers["X-CF-Forwarded-Url"]
        print(self.command, url, flush=True)
        length = int(self.headers.get("Content-Length", 0))
        onward = urllib.request.Request(url, self.rfile.read(length) or None, method=self.command)
        for name, value in self.headers.items():
            if name.lower() not in HOP_BY_HOP | {"host"}:
                onward.add_header(name, value)
        try:
            answer = urllib.request.urlopen(onward, timeout=10, context=UNTRUSTED)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("X-Gate", "seen")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_HEAD = forward


http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Gate).serve_forever()
