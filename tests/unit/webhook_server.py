"""A receiver for the webhook's tests.

    webhook_server.py PORT RECORD ANSWER...

Listens on 127.0.0.1:PORT (0: any), prints the port, and answers the n-th POST with the n-th
ANSWER, the last one for ever: a status, "503+2" (with Retry-After: 2), "hang" (no answer),
"flood" (a body without end), or "cut" (the connection is closed).  Each POST becomes a line of
RECORD, written before the answer: Idempotency-Key, Authorization, body.
"""
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

answers = sys.argv[3:]
lock = threading.Lock()
seen = 0


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global seen
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        with lock:
            answer = answers[min(seen, len(answers) - 1)]
            seen += 1
            with open(sys.argv[2], "a", encoding="utf-8") as record:
                record.write(json.dumps([self.headers.get("Idempotency-Key"),
                                         self.headers.get("Authorization"),
                                         json.loads(body)], ensure_ascii=False) + "\n")
        if answer == "hang":
            time.sleep(30)
        elif answer == "cut":
            self.close_connection = True
        elif answer == "flood":
            self.send_response(200)
            self.send_header("Content-Length", "1000000000")
            self.end_headers()
            try:
                while True:
                    self.wfile.write(b"x" * 65536)
            except OSError:
                self.close_connection = True
        else:
            status, _, after = answer.partition("+")
            self.send_response(int(status))
            if after:
                self.send_header("Retry-After", after)
            if status == "302":
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("127.0.0.1", int(sys.argv[1])), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
