# syntax=docker/dockerfile:1
# The server in a container for amd64 and arm64, without torch, compiler and root.
#
#   docker build -t wyoming-faster-whisper .
#   docker build -t wyoming-faster-whisper:gpu --build-arg EXTRAS=auth,hass,http,metrics,mqtt,onnx,gpu . (amd64, NVIDIA)
#
# EXTRAS are extras of pyproject.toml, separated by commas. `script/image` builds this file without
# Docker and transcribes a recording with the result.

FROM debian:trixie-slim AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY script/onnxruntime-web ./script/onnxruntime-web
COPY wyoming_faster_whisper ./wyoming_faster_whisper
# For the page without the server; npm is not part of the image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends npm \
    && rm -rf /var/lib/apt/lists/* \
    && script/onnxruntime-web
ARG EXTRAS=auth,hass,http,metrics,mqtt,onnx
RUN python3 -m venv /opt/server \
    && /opt/server/bin/python -m pip install --no-cache-dir ".${EXTRAS:+[${EXTRAS}]}" \
    && /opt/server/bin/python -m pip uninstall --yes pip

FROM debian:trixie-slim
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10300 --user-group --no-create-home --home-dir /data whisper \
    && install --directory --owner=whisper --group=whisper /data
COPY --from=build /opt/server /opt/server

# Variables rather than arguments of the entry point: the operator can override them, and the
# health check connects to WYO_WHISPER_URI. Libraries store their caches in HOME.
ENV PATH=/opt/server/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    WYO_WHISPER_DATA_DIR=/data \
    WYO_WHISPER_DOWNLOAD_DIR=/data \
    LD_LIBRARY_PATH=/opt/server/lib/python3.13/site-packages/nvidia/cublas/lib:/opt/server/lib/python3.13/site-packages/nvidia/cuda_nvrtc/lib \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

USER 10300:10300
VOLUME ["/data"]
EXPOSE 10300
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s \
    CMD ["python3", "-m", "wyoming_faster_whisper.health_check"]
ENTRYPOINT ["python3", "-m", "wyoming_faster_whisper"]
