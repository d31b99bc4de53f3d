# The service: polls Immich, remembers, shows. Build it from the top of the tree:
#   docker build --file docker/service.Dockerfile --tag immich-facesets-service .

FROM python:3.12.13-slim-trixie@sha256:229a2c5bfa27522db7815ea81f9bed70af17ccb9de9fc7ad142b1877b5830d36 AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Two environments: one holds pip and the wheel's builder and stays behind, the other is the image.
COPY docker/build.lock docker/
RUN python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/python -m pip install --no-deps --require-hashes --requirement docker/build.lock
COPY docker/service.lock docker/
RUN /opt/build/bin/python -m pip --python /opt/venv/bin/python install \
    --no-deps --require-hashes --requirement docker/service.lock
COPY pyproject.toml README.md LICENSE ./
COPY immich_facesets immich_facesets
COPY service service
COPY embedder embedder
COPY docs docs
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/python -m pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.12.13-slim-trixie@sha256:229a2c5bfa27522db7815ea81f9bed70af17ccb9de9fc7ad142b1877b5830d36
LABEL org.opencontainers.image.title="immich-facesets service" \
      org.opencontainers.image.description="Curated, ranked face sets of the people in an Immich library" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 facesets \
    && useradd --uid 10001 --gid facesets --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin facesets \
    && install --directory --owner facesets --group facesets --mode 0750 /data /exports
COPY --from=build /opt/venv /opt/venv
# It comes first in PATH, so that `docker exec` passes through it, too.
COPY --chmod=0755 docker/entrypoint.sh /opt/bin/immich-facesets
ENV PATH=/opt/bin:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FACESETS_LISTEN=0.0.0.0:8785 \
    FACESETS_DATA_DIR=/data \
    FACESETS_EXPORT_DIR=/exports
USER 10001:10001
WORKDIR /data
VOLUME ["/data", "/exports"]
EXPOSE 8785
STOPSIGNAL SIGTERM
# /healthz says no more than that the process answers; /readyz says whether it can work (docs/operations.md).
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=2s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; door = http.client.HTTPConnection('127.0.0.1', int(os.environ['FACESETS_LISTEN'].rpartition(':')[2]), timeout=8); door.request('GET', '/healthz'); sys.exit(door.getresponse().status != 200)"]
ENTRYPOINT ["immich-facesets"]
CMD ["serve"]
