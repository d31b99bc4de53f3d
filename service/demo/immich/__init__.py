"""
A fake Immich: an HTTP server that behaves like versions 2.7, 3.1 and 3.3, for tests, benchmarks and the demo.

    immich = FakeImmich("3.1.0")
    anna = immich.add_user("anna")
    asset = immich.add_asset(data=jpeg, file_name="a.jpg", owner="anna", width=1600, height=1200, taken_at=...)
    immich.add_face(asset, box=(600, 300, 900, 700), image_width=1600, image_height=1200)
    url = await immich.start()      # send the header x-api-key: anna.api_key
    immich.faults.add("original", "status", status=503, times=2)
    assert immich.requests.count("original") == 0

All data is in memory; changes to its objects take effect at once. Its behaviour was recorded from real servers;
where they differ by version, `Dialect` decides.
"""

from service.demo.immich.api_version import Dialect
from service.demo.immich.faults import Fault, FaultPlan
from service.demo.immich.library import ALL_NEEDED, FakeAsset, FakeFace, FakePerson, FakeUser, Library
from service.demo.immich.manifest import load_library
from service.demo.immich.request_log import Asked, RequestLog
from service.demo.immich.server import FakeImmich

__all__ = [
    "ALL_NEEDED",
    "Asked",
    "Dialect",
    "FakeAsset",
    "FakeFace",
    "FakeImmich",
    "FakePerson",
    "FakeUser",
    "Fault",
    "FaultPlan",
    "Library",
    "RequestLog",
    "load_library",
]
