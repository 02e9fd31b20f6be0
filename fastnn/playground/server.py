"""The server of the playground, on this machine only: a page and one WebSocket for each session."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import math
import secrets
import socket
import threading
import warnings
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from fastnn._training.loop import DivergenceWarning
from fastnn.playground.session import Session
from fastnn.playground.settings import Settings, describe_settings, make_settings

HOST = "127.0.0.1"
STATIC = Path(__file__).parent / "static"
MAX_MESSAGE = 400_000  # bytes; a table has at most 200,000
MAX_SESSIONS = 16
SECONDS_OF_A_FRAME = 1 / 40
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; connect-src 'self' ws://127.0.0.1:* "
        "ws://localhost:*; frame-ancestors 'self'"
    ),
    "Referrer-Policy": "no-referrer",  # the address contains the token
    "Cache-Control": "no-store",
}


class Connection:
    """A page: its session, and whether it runs.

    The session is used by one worker thread at a time; the lock is fair, so a message waits for
    one frame at most.
    """

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.lock = asyncio.Lock()
        self.session = Session(Settings())
        self.running = asyncio.Event()

    async def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function of the session in a worker thread."""
        async with self.lock:
            return await asyncio.to_thread(function, *arguments)

    async def send(self, kind: str, value: Any) -> None:
        """Send one message as JSON; numbers that are not finite become null."""
        await self.socket.send_text(_dump({"type": kind, "value": value}))

    async def send_frame(self, advance: bool = False) -> None:
        """Send the numbers and pictures of the session, after some training if it runs."""
        await self.socket.send_bytes(await self.call(self._make_frame, advance))

    def _make_frame(self, advance: bool) -> bytes:
        if advance:
            self.session.run()
        numbers = _dump(self.session.measure()).encode()
        return len(numbers).to_bytes(4, "little") + numbers + self.session.draw()

    async def train(self) -> None:
        """Train and send frames while the page runs."""
        while True:
            await self.running.wait()
            began = asyncio.get_running_loop().time()
            await self.send_frame(advance=True)
            if self.session.finished:
                await self._set_running(False)
            spent = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0, SECONDS_OF_A_FRAME - spent))

    async def _set_running(self, running: bool) -> None:
        if running:
            self.running.set()
        else:
            self.running.clear()
        await self.send("running", running)

    async def configure(self, values: Any) -> None:
        """Replace the session by a new one with the settings of the page."""
        settings = make_settings(values)
        await self._set_running(False)
        self.session = await self.call(Session, settings)
        await self.send("data", self.session.describe())
        await self.send_frame()

    async def answer(self, message: Any) -> None:
        """Do what a message asks for.

        Raises
        ------
        ValueError
            If the message is invalid; nothing has changed then.
        """
        if not isinstance(message, dict):
            raise ValueError("message: expected an object")
        kind = message.get("type")
        session = self.session
        if kind == "configure":
            await self.configure(message.get("settings"))
        elif kind == "run":
            await self._set_running(message.get("running") is True)
        elif kind in ("step", "epoch", "reset"):
            await self._set_running(False)
            functions = {"step": session.step, "epoch": session.train, "reset": session.reset}
            await self.call(functions[kind])
            await self.send_frame()
        elif kind == "weight":
            place = [message.get(name) for name in ("layer", "i", "j", "value")]
            await self.call(session.edit, *place)
            await self.send_frame()
        elif kind in ("script", "walk", "repeat"):
            readers = {
                "script": session.write_script, "walk": session.walk, "repeat": session.repeat,
            }  # fmt: skip
            await self.send(kind, await self.call(readers[kind]))
        else:
            raise ValueError(f"message: expected a known type; got {str(kind)[:40]!r}")

    async def serve(self) -> None:
        """Answer messages until the page is closed."""
        trainer = asyncio.create_task(self.train())
        try:
            while True:
                text = await self.socket.receive_text()
                try:
                    if len(text) > MAX_MESSAGE:
                        raise ValueError(f"message: expected at most {MAX_MESSAGE:,} characters")
                    await self.answer(json.loads(text))
                except (ValueError, TypeError, RecursionError) as error:
                    await self.send("error", str(error))
        finally:
            trainer.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, RuntimeError):
                await trainer


def _dump(value: Any) -> str:
    def clean(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: clean(part) for key, part in one.items()}
        if isinstance(one, list):
            return [clean(part) for part in one]
        return None if isinstance(one, float) and not math.isfinite(one) else one

    return json.dumps(clean(value))


def make_app(token: str, port: int) -> Starlette:
    """Return the application. Without the token it serves neither the page nor a session."""
    origins = {f"http://{host}:{port}" for host in (HOST, "localhost")}
    connections: set[Connection] = set()

    def is_right(given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), token.encode())

    async def show_page(request: Request) -> Response:
        if not is_right(request.query_params.get("token")):
            return PlainTextResponse("Open the address that the command printed.", 403)
        return FileResponse(STATIC / "index.html", headers=HEADERS)

    async def open_session(socket: WebSocket) -> None:
        allowed = socket.headers.get("origin") in origins
        if not allowed or not is_right(socket.query_params.get("token")):
            await socket.close(1008)
            return
        if len(connections) >= MAX_SESSIONS:
            await socket.close(1013)
            return
        connection = Connection(socket)
        connections.add(connection)
        try:
            await socket.accept()
            await connection.send("settings", describe_settings())
            await connection.serve()
        except WebSocketDisconnect:
            pass
        finally:
            connections.discard(connection)

    return Starlette(
        routes=[
            Route("/", show_page),
            WebSocketRoute("/session", open_session),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"], www_redirect=False)
        ],
    )


def run(port: int = 0, browser: bool = True) -> None:
    """Serve the playground until Ctrl-C. With port 0, the system chooses a free one."""
    warnings.filterwarnings("ignore", category=DivergenceWarning)  # the page shows it
    with socket.create_server((HOST, port)) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(16)
        address = f"http://{HOST}:{port}/?token={token}"
        print(f"fastnn playground: {address}\nCtrl-C stops it.", flush=True)
        if browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        config = uvicorn.Config(
            make_app(token, port),
            log_level="warning",
            access_log=False,
            ws_max_size=4 * MAX_MESSAGE,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
