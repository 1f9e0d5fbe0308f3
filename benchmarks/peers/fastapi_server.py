"""FastAPI on uvicorn with uvloop and httptools: the bare echo that REST is compared with."""

from __future__ import annotations

import argparse
import time
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Text(BaseModel):
    """A JSON object with one text; an image is its base64."""

    text: str


app = FastAPI()


@app.post("/echo")
async def echo(body: Text) -> Text:
    return Text(text=body.text)


@app.post("/stream")
async def stream(body: Text) -> StreamingResponse:
    async def make() -> AsyncIterator[str]:
        for number in range(int(body.text)):
            yield f"{time.monotonic_ns():020d}\n" if number == 0 else f"token {number:014d}\n"

    return StreamingResponse(make())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grpc-port", type=int)
    parser.add_argument("--mode", default="echo")
    options = parser.parse_args()
    uvicorn.run(app, host="127.0.0.1", port=options.port, loop="uvloop", http="httptools", access_log=False)
