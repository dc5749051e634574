# The service as an image, without torch. Targets: cpu (the last, so the default) and gpu.
#
#     docker build --target cpu --tag penumbra .
#
# BASE_IMAGE may be any Debian-like image: python:*, where Python lives in /usr/local, or plain Debian, where the steps
# below take python3 from the distribution. The environment is made and used on the same base, so that the interpreter
# it points to is there; pip stays behind in the build stages.
ARG BASE_IMAGE=python:3.12-slim-bookworm


# Debian's packages are not pinned: a version that a security update has replaced is no longer to be had.
FROM ${BASE_IMAGE} AS base
# hadolint ignore=DL3008
RUN command -v python3 > /dev/null \
    || (apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3 \
        && apt-get clean && rm -rf /var/lib/apt/lists/*)


# What builds, in an environment of its own, and an empty one without pip that will travel. The packages are empty here,
# so that the layers with the dependencies are built again only when pyproject.toml or constraints.txt change.
FROM base AS build
# hadolint ignore=DL3008
RUN python3 -c 'import ensurepip' 2> /dev/null \
    || (apt-get update \
        && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv \
        && apt-get clean && rm -rf /var/lib/apt/lists/*)
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/penumbra
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN /opt/build/bin/pip install --constraint constraints.txt pip hatchling \
    && for package in models training service; do mkdir "$package" && touch "$package/__init__.py"; done \
    && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /empty .

# Wheels alone: nothing that is downloaded runs here.
FROM build AS dependencies-cpu
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --only-binary :all: --constraint constraints.txt \
    "$(echo /empty/*.whl)[cpu,postgresql,tracing]"

FROM build AS dependencies-gpu
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --only-binary :all: --constraint constraints.txt \
    "$(echo /empty/*.whl)[gpu,postgresql,tracing]"

FROM build AS wheel
COPY models models
COPY training training
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .

FROM dependencies-cpu AS environment-cpu
COPY --from=wheel /wheel /wheel
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-deps --force-reinstall /wheel/*.whl

FROM dependencies-gpu AS environment-gpu
COPY --from=wheel /wheel /wheel
RUN /opt/build/bin/pip --python /opt/penumbra/bin/python install --no-deps --force-reinstall /wheel/*.whl


FROM base AS service
RUN groupadd --gid 10001 penumbra \
    && useradd --uid 10001 --gid penumbra --no-create-home --home-dir /data --shell /usr/sbin/nologin penumbra \
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
# By number: Kubernetes cannot tell of a name that it is not root's.
USER 10001:10001
EXPOSE 8321
VOLUME /data
STOPSIGNAL SIGTERM
# The start may take minutes: a million pictures' features go into the index. And the port is asked itself, as
# urllib.request would ask a proxy that the container's environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=5m --retries=3 CMD ["python3", "-c", \
    "import http.client, os; \
    connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['PENUMBRA_PORT']), timeout=4); \
    connection.request('GET', '/healthz'); \
    raise SystemExit(connection.getresponse().status != 200)"]
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
