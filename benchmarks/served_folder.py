"""What somebody writes who serves a model from a container by hand: the class behind the library's HTTP server."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2

from modelyard.worker.load import load_model

model = load_model(Path(sys.argv[1]).resolve())


class Answers(BaseHTTPRequestHandler):
    """A text in, the model's text out."""

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        data = resources_pb2.Data(text=resources_pb2.Text(raw=text))
        request = service_pb2.PostModelOutputsRequest(inputs=[resources_pb2.Input(data=data)])
        answer = model.runner.predict(request).outputs[0].data.text.raw.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing is said of each request."""


HTTPServer(("127.0.0.1", int(sys.argv[2])), Answers).serve_forever()
