# The service as an image, without torch. Targets: cpu (the last, so the default) and gpu.
#
#     docker build --target cpu --tag penumbra .
#
# BASE_IMAGE may be any Debian-like image: python:*, where Python lives in /usr/local, or plain Debian, where the steps
# below take python3 from the distribution. The environment is made and used on the same base, so that the interpreter
# it points to is there; pip stays behind in the build stages.
ARG BASE_IMAGE=python:3.12-slim-bookworm


FROM ${BASE_IMAGE} AS base
RUN command -v python3 > /dev/null \
    || (apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 \
        && rm -rf /var/lib/apt/lists/*)


# pip in an environment of its own, and an empty one without pip that will travel. The packages are empty here, so that
# the layers with the dependencies are built again only when pyproject.toml or constraints.txt change.
FROM base AS build
RUN python3 -c 'import ensurepip' 2> /dev/null \
    || (apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
        && rm -rf /var/lib/apt/lists/*)
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/penumbra
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN for package in models training service; do mkdir "$package" && touch "$package/__init__.py"; done

FROM build AS dependencies-cpu
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-cache-dir --constraint constraints.txt '.[cpu,postgresql,tracing]'

FROM build AS dependencies-gpu
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-cache-dir --constraint constraints.txt '.[gpu,postgresql,tracing]'

FROM build AS wheel
COPY models models
COPY training training
COPY service service
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM dependencies-cpu AS environment-cpu
COPY --from=wheel /wheel /wheel
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-deps --force-reinstall /wheel/*.whl

FROM dependencies-gpu AS environment-gpu
COPY --from=wheel /wheel /wheel
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-deps --force-reinstall /wheel/*.whl


FROM base AS service
RUN useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin penumbra \
    && install --directory --owner penumbra --group penumbra --mode 0700 /data
# The address is the container's own. Whoever publishes the port to others decides whether that may be without keys:
# until they say PENUMBRA_ALLOW_ANONYMOUS=true, the service refuses to start on it.
ENV PATH=/opt/penumbra/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PENUMBRA_DATA_DIR=/data \
    PENUMBRA_HOST=0.0.0.0 \
    PENUMBRA_LOG_FORMAT=json \
    PENUMBRA_PORT=8321
WORKDIR /data
USER penumbra
EXPOSE 8321
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python3", "-c", \
    "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['PENUMBRA_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["penumbra"]
CMD ["serve"]


# Needs the NVIDIA container toolkit on the host; CUDA and cuDNN come as Python packages.
FROM service AS gpu
COPY --from=environment-gpu /opt/penumbra /opt/penumbra
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PENUMBRA_PROVIDER=cuda


FROM service AS cpu
COPY --from=environment-cpu /opt/penumbra /opt/penumbra
