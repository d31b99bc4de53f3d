"""Prometheus metrics, and the monitor of event loop stalls."""

import asyncio
import time
from dataclasses import replace

import pytest
from embedder_scene import picture, running
from immich_scene import scene as immich_scene
from loop_steps import measured_steps
from prometheus_client.parser import text_string_to_metric_families
from web_scene import BEARER, TOKEN, Scene, busy_scene, visit

from immich_facesets.errors import ItemError
from immich_facesets.face_requests import FacesRequest
from service.embedders.client import Embedder
from service.monitoring.event_loop_lag import EventLoopWatch
from service.monitoring.metrics import Metrics
from service.progress import ProgressBoard, RemoteState


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_prometheus_reads_the_state_of_the_board() -> None:
    scene = busy_scene()
    scene.board.update_remote(RemoteState(name="Immich", circuit="open"))
    async with visit(scene) as client, client.get("/metrics", headers=BEARER) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        told = samples(await answer.text())
    circuit = "facesets_circuit_state"
    assert told[circuit, (("remote", "Immich"), ("state", "open"))] == 1
    assert told[circuit, (("remote", "Immich"), ("state", "closed"))] == 0
    assert told[circuit, (("remote", "embedder"), ("state", "closed"))] == 1
    assert told["facesets_sync_running", ()] == 1
    assert told["facesets_stage_items_done", (("stage", "embed"),)] == 204
    assert told["facesets_build_info", (("version", "1.2.3"),)] == 1


def test_what_is_counted_can_be_read() -> None:
    metrics = Metrics(ProgressBoard(), version="1")
    metrics.count_run(kind="full", outcome="done", ended_at=1000.0)
    metrics.count_run(kind="export", outcome="done", ended_at=2000.0)  # no sync
    metrics.count_request(remote="Immich", route="/api/assets/{id}", status="200", seconds=0.2)
    metrics.count_download(source="anna", size_bytes=2048)
    metrics.count_embedded(faces=3)
    metrics.count_failure(stage="embed", reason="corrupt")
    metrics.stage_seconds.labels("embed").observe(12)
    metrics.observe_lag(0.2)
    metrics.observe_lag(0.01)
    read = metrics.registry.get_sample_value
    assert read("facesets_sync_runs_total", {"kind": "full", "outcome": "done"}) == 1
    assert read("facesets_last_sync_timestamp_seconds", {"outcome": "done"}) == 1000
    assert read("facesets_requests_total", {"remote": "Immich", "route": "/api/assets/{id}", "status": "200"}) == 1
    assert read("facesets_download_bytes_total", {"source": "anna"}) == 2048
    assert (read("facesets_embedded_contents_total"), read("facesets_faces_total")) == (1, 3)
    assert read("facesets_failures_total", {"stage": "embed", "reason": "corrupt"}) == 1
    assert read("facesets_stage_seconds_sum", {"stage": "embed"}) == 12
    assert read("facesets_loop_lag_longest_seconds") == 0.2
    assert read("facesets_loop_lag_seconds_count") == 2


async def test_requests_to_remotes_can_be_read_with_their_route_and_seconds() -> None:
    scene = busy_scene()
    metrics = Metrics(scene.board, version="1")
    async with immich_scene("3.1.0", count=metrics.count_request) as (_, _, source), running() as embedder:
        client = Embedder(str(embedder.client.base_url), None, count=metrics.count_request)
        await source.open()
        await client.info()
        await client.faces(picture(), FacesRequest())
        with pytest.raises(ItemError):
            await client.faces(b"no picture", FacesRequest())
        await client.close()
        context = replace(scene.context(), registry=metrics.registry)
        async with visit(scene, context) as visitor, visitor.get("/metrics", headers=BEARER) as answer:
            told = samples(await answer.text())

    def count(remote: str, route: str, status: str) -> float:
        return told["facesets_requests_total", (("remote", remote), ("route", route), ("status", status))]

    assert count("embedder", "/v1/info", "200") == 1
    assert (count("embedder", "/v1/faces", "200"), count("embedder", "/v1/faces", "422")) == (1, 1)
    assert count("Immich (anna)", "/api/server/version", "200") >= 1
    faces = (("remote", "embedder"), ("route", "/v1/faces"))
    assert told["facesets_request_seconds_count", faces] == 2
    assert told["facesets_request_seconds_sum", faces] > 0


async def test_two_services_in_one_process_count_apart() -> None:
    first, second = Metrics(ProgressBoard(), version="1"), Metrics(ProgressBoard(), version="1")
    first.count_embedded(faces=1)
    assert second.registry.get_sample_value("facesets_faces_total") == 0


async def test_the_watch_sees_a_stalled_loop() -> None:
    lags: list[float] = []
    watch = EventLoopWatch(lags.append, interval_seconds=0.01)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch.run())
        await asyncio.sleep(0.05)
        time.sleep(0.2)  # noqa: ASYNC251  the stall that must be seen
        await asyncio.sleep(0.05)
        watching.cancel()
    assert watch.longest_seconds >= 0.18
    assert watch.longest_seconds == max(lags)
    assert watch.ticks == len(lags) >= 1


async def test_showing_the_page_never_stalls_the_loop() -> None:
    scene: Scene = busy_scene()
    async with visit(scene) as client:
        async with client.get("/", headers={**BEARER, "Accept": "text/html"}) as answer:
            assert answer.status == 200  # templates are read once, before the measurement
        with measured_steps() as steps:
            for path in ("/", "/api/status", "/metrics", "/api/openapi.json") * 10:
                async with client.get(path, headers={**BEARER, "Accept": "text/html"}) as answer:
                    assert TOKEN not in await answer.text()
    assert steps.count > 40
    assert steps.longest_seconds < 0.1  # a step takes about 0.001 s
