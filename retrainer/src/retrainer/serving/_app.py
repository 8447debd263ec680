"""The HTTP application: routes, limits, and the model in production that it keeps up with."""

import asyncio
import contextlib
import ipaddress
import json
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pandas as pd
import prometheus_client as prometheus
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from .. import data
from ..errors import DataError, ProjectError
from ..project import Project
from ..registry import Registry, open_registry
from ..training import Production, ProductionModel
from ._log import RequestLog
from ._rows import FILES, JSON, RefusedError, infinite_cells, read_rows, unread_cells

REFRESH_SECONDS = 1.0
# Longer than load balancers and proxies keep an idle connection: they close it, not the server.
KEEP_ALIVE_SECONDS = 75
BODY_SECONDS = 15.0  # in which the body of a request must have come, and the head of a connection's first
STOP_SECONDS = 4  # in which requests in progress are finished when the process ends
CONNECTIONS = 1000  # at a time; one more is answered with 503
BODIES = 4  # as many bodies of the largest size may wait at a time for the rest of them
OPEN = {"/health", "/ready"}  # for whoever watches the process, without the token

logger = logging.getLogger(__name__)


class Server:
    """The state of the routes: the model, its metrics and the log of requests."""

    def __init__(self, project: Project) -> None:
        """Serve the model in production of a project; nothing is loaded yet."""
        self.project, self.settings = project, project.settings
        settings = self.settings
        self.limits = settings.serving
        self.production: Production | None = None
        self.registry: Registry | None = None
        self.trouble: str | None = "no model is loaded yet"
        self.unfinished = 0  # bytes of bodies that are still being sent
        self.threads = ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2), thread_name_prefix="predict")
        self.log = (
            RequestLog(self.limits.log, settings=settings, rows=self.limits.log_rows) if self.limits.log else None
        )
        self.metrics = prometheus.CollectorRegistry()
        self.requests = prometheus.Counter(
            "requests", "Requests by path and status.", ["path", "status"], registry=self.metrics
        )
        self.seconds = prometheus.Histogram(
            "predict_seconds", "Time of a prediction, from the whole body to the answer.", registry=self.metrics
        )
        self.rows = prometheus.Counter(
            "predicted_rows", "Rows predicted, by version.", ["version"], registry=self.metrics
        )
        self.stale = prometheus.Gauge(
            "champion_not_loaded", "1 while the model in production cannot be loaded.", registry=self.metrics
        )

    @property
    def model(self) -> ProductionModel | None:
        """The model that is served now."""
        return self.production.loaded if self.production else None

    def refresh(self) -> None:
        """Load a new champion; if this fails, the error is logged once and the old one stays."""
        try:
            if self.production is None:
                self.registry = open_registry(self.settings)
                self.production = Production(self.registry, project=self.project)
            before = self.model
            self.production.refresh()
            trouble = self.production.trouble
            if self.model is not None and self.model is not before:
                logger.info("Serving %s", self.model.version)
        except ProjectError as error:
            trouble = str(error)
            if trouble != self.trouble:
                logger.warning("No model is served: %s", trouble)
        except Exception as error:  # whatever a store or a pickled model may raise: the old one is served on
            trouble = f"{type(error).__name__}: {error}"
            if trouble != self.trouble:
                logger.exception("The registry cannot be read")
        self.trouble = trouble
        self.stale.set(1 if trouble else 0)

    def predict(self, model: ProductionModel, body: bytes, content_type: str) -> bytes:
        """Return the answer to a request; all its predictions are of one version.

        Raises:
            RefusedError: the rows do not match the contract.
        """
        started = time.perf_counter()
        contract = model.model.contract
        rows = read_rows(body, content_type, contract, max_rows=self.limits.max_rows, max_bytes=self.limits.max_bytes)
        report = data.ReadReport()
        try:
            predictions = model.model.predict(rows, report=report)
        except DataError as error:
            found = infinite_cells(rows) if isinstance(error, data.InfiniteValuesError) else []
            raise RefusedError(422, found or [{"reason": str(error)}]) from None
        if problems := unread_cells(report, contract):
            raise RefusedError(422, problems)
        answer: dict[str, Any] = {"version": model.version, "predictions": predictions.labels.tolist()}
        if predictions.probabilities is not None and predictions.classes is not None:
            names = [str(name) for name in predictions.classes.tolist()]
            answer["probabilities"] = [
                dict(zip(names, shares, strict=True)) for shares in predictions.probabilities.tolist()
            ]
        try:
            content = json.dumps(answer, allow_nan=False, default=str).encode()
        except ValueError:
            reason = "a prediction is not a finite number, because a value is far outside the training data"
            raise RefusedError(422, [{"reason": reason}]) from None
        self.rows.labels(model.version).inc(len(rows))
        if self.log:
            self.log.add(rows, pd.Series(predictions.labels), version=model.version)
        self.seconds.observe(time.perf_counter() - started)
        return content

    def facts(self, model: ProductionModel) -> dict[str, Any]:
        """Describe the model that is served: version, metrics, and the decision that put it into production."""
        decisions = self.registry.decisions() if self.registry else []
        put = [record for record in decisions if record.champion == model.version]
        decision = {"verdict": put[0].verdict, "reason": put[0].reason, "time": put[0].time} if put else None
        return {"version": model.version, "metrics": dict(model.metrics), "decision": decision, "trouble": self.trouble}


def create_app(project: Project) -> FastAPI:
    """Return the ASGI application. It loads the model at its start, and follows promotions and rollbacks.

    Args:
        project: The project whose model is served.

    Examples:
        >>> sorted(route.path for route in create_app(project).routes)
        ['/health', '/metrics', '/model', '/openapi.json', '/predict', '/ready']
    """
    server = Server(project)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(server.refresh)
        following = asyncio.create_task(_follow_registry(server))
        yield
        following.cancel()
        if server.log:
            await asyncio.to_thread(server.log.close)

    app = FastAPI(title=project.settings.project, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.server = server
    app.add_middleware(_Guard, server=server)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        model = server.model
        if model is None:
            return _problem_response(503, server.trouble)
        body = await _read_body(request, server)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(server.threads, server.predict, model, body, content_type)
        return Response(answer, media_type=JSON)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready")
    async def ready() -> Response:
        if server.model is None:
            return _problem_response(503, server.trouble)
        return _json_response(200, {"version": server.model.version, "trouble": server.trouble})

    @app.get("/model")
    async def model() -> Response:
        if server.model is None:
            return _problem_response(503, server.trouble)
        return _json_response(200, await asyncio.to_thread(server.facts, server.model))

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(prometheus.generate_latest(server.metrics), media_type=prometheus.CONTENT_TYPE_LATEST)

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        # What is left of the body is not read: the connection ends with the answer.
        headers = {"connection": "close"} if error.status in (408, 413, 503) else {}
        return _json_response(error.status, {"detail": error.problems}, headers)

    @app.exception_handler(ClientDisconnect)
    async def left(request: Request, error: ClientDisconnect) -> Response:
        logger.info("A client disconnected before its request to %s was complete", request.url.path)
        return Response(status_code=400)  # nobody reads it

    app.openapi = lambda: _openapi(app, server)  # type: ignore[method-assign]
    return app


class _Guard:
    """Lets in who has the token, and counts what is answered.

    Written against ASGI itself: Starlette's own base class for middleware would cost as much as the rest of HTTP.
    """

    def __init__(self, app: Any, server: Server) -> None:
        self.app, self.server = app, server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]

        async def counted(message: Any) -> None:
            if message["type"] == "http.response.start":
                known = path if path in ROUTES else "other"
                self.server.requests.labels(known, str(message["status"])).inc()
            await send(message)

        app = self.app
        token = self.server.limits.token
        if token and path not in OPEN and not _authorized(Request(scope), token.get_secret_value()):
            app = _json_response(
                401,
                {"detail": [{"reason": "Authorization: Bearer <token> is missing or wrong"}]},
                {"www-authenticate": "Bearer"},
            )
        await app(scope, receive, counted)


class _Impatient(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # one of two classes
    """Closes a connection that never sends a whole request; uvicorn itself would never close it."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(BODY_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.close()


ROUTES = {"/predict", "/health", "/ready", "/model", "/metrics", "/openapi.json"}


async def _follow_registry(server: Server) -> None:
    while True:
        await asyncio.sleep(REFRESH_SECONDS)
        await asyncio.to_thread(server.refresh)


async def _read_body(request: Request, server: Server) -> bytes:
    """Return the body of a request, which has a limited time to come, and shares a limited memory with others.

    Raises:
        RefusedError: it is too large, too slow, one of too many, or unfinished when the server stops.
        ClientDisconnect: the client left.
    """
    limit = server.limits.max_bytes
    too_large = RefusedError(413, [{"reason": f"the body is larger than {limit:,} bytes (serving.max_bytes)"}])
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                if len(body) + len(part) > limit:
                    raise too_large
                if server.unfinished + len(part) > BODIES * limit:
                    raise RefusedError(503, [{"reason": "too many large bodies at a time: try again"}])
                server.unfinished += len(part)
                body += part
    except TimeoutError:
        reason = f"the body did not come within {BODY_SECONDS:g} seconds"
        raise RefusedError(408, [{"reason": reason}]) from None
    except asyncio.CancelledError:  # by uvicorn, which would log a traceback
        raise RefusedError(503, [{"reason": "the server is stopping: try again"}]) from None
    finally:
        server.unfinished -= len(body)
    return bytes(body)


def _authorized(request: Request, wanted: str) -> bool:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return kind.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), wanted.encode())


def _json_response(status: int, content: Any, headers: dict[str, str] | None = None) -> Response:
    return Response(json.dumps(content, default=str), status_code=status, headers=headers, media_type=JSON)


def _problem_response(status: int, reason: str | None) -> Response:
    return _json_response(status, {"detail": [{"reason": reason}]})


_TYPES = {
    "number": {"type": ["number", "string", "null"]},
    "boolean": {"type": ["boolean", "null"]},
    "date": {"type": ["string", "null"]},
    "text": {"type": ["string", "integer", "null"]},
}


def _openapi(app: FastAPI, server: Server) -> dict[str, Any]:
    """Return the schema, with a row as the contract of the model that is served now describes it."""
    version = server.model.version if server.model else "none"
    schema = get_openapi(title=app.title, version=version, routes=app.routes)
    if server.model is None:
        return schema
    contract = server.model.model.contract
    properties: dict[str, Any] = {}
    for name in contract.inputs:
        column = contract.columns[name]
        properties[name] = dict(_TYPES.get(column.kind, {}))
        if column.example is not None:
            properties[name]["examples"] = [column.example]
    schema.setdefault("components", {}).setdefault("schemas", {})["Row"] = {
        "type": "object",
        "properties": properties,
        "required": list(contract.inputs),
    }
    row = {"$ref": "#/components/schemas/Row"}
    rows = {"type": "array", "items": row, "minItems": 1, "maxItems": server.limits.max_rows}
    body: dict[str, Any] = {
        JSON: {"schema": {"anyOf": [rows, row, {"type": "object", "properties": {"rows": rows}, "required": ["rows"]}]}}
    }
    body |= {content_type: {"schema": {"type": "string", "format": "binary"}} for content_type in FILES}
    schema["paths"]["/predict"]["post"]["requestBody"] = {"required": True, "content": body}
    if server.limits.token:
        schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
    return schema


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def run(project: Project) -> None:
    """Serve until stopped by SIGTERM or Ctrl-C; requests in progress are finished first."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    limits = project.settings.serving
    if not limits.token and not _is_loopback(limits.host):
        logger.warning(
            "Everybody who reaches port %d of this machine (serving.host is %s) gets predictions: serving.token is not"
            " set. Set the variable %sSERVING__TOKEN, unless only trusted machines can connect.",
            limits.port,
            limits.host,
            project.env_prefix,
        )
    uvicorn.run(
        create_app(project),
        host=limits.host,
        port=limits.port,
        log_level="info",
        access_log=False,
        http=_Impatient,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=CONNECTIONS,
    )
