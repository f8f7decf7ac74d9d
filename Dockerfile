# A ledger in a container: the ledger in the volume /data, the lock file of its checkpoints in the volume /lock, which no
# backup of the ledger brings back; the keys mounted at /keys. docs/operations.md has the commands.
# Everything that is fetched has its hash in a lock, but for the base image, whose tag is exact. Whoever builds for production
# pins its digest too: docker build --build-arg PYTHON_IMAGE=python:3.11.14-slim-trixie@sha256:...
ARG PYTHON_IMAGE=python:3.11.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock requirements-build.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes --only-binary :all: -r requirements-build.lock \
    && pip wheel --no-cache-dir --no-deps --require-hashes --only-binary :all: --wheel-dir /wheels -r requirements.lock
COPY . ./
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels .


FROM ${PYTHON_IMAGE}
LABEL org.opencontainers.image.title="signed-ledger" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 ledger \
    && useradd --uid 10001 --gid ledger --no-create-home --home-dir /data --shell /usr/sbin/nologin ledger \
    && install --directory --owner ledger --group ledger --mode 0700 /data /keys /lock
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --no-deps --root-user-action ignore /wheels/*.whl
ENV PYTHONUNBUFFERED=1 \
    SIGNED_LEDGER_DATABASE=/data/ledger.db \
    SIGNED_LEDGER_KEYS=/keys \
    SIGNED_LEDGER_CHECKPOINT_LOCK=/lock/checkpoint.lock \
    SIGNED_LEDGER_HOST=0.0.0.0 \
    SIGNED_LEDGER_PORT=8080
USER 10001:10001
WORKDIR /data
VOLUME /data /lock
EXPOSE 8080
# SIGTERM is the service's own: it stops taking, finishes its queue and closes. Give it time: docker run --stop-timeout 40.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['SIGNED_LEDGER_PORT']), timeout=2); c.request('GET', '/healthz'); assert c.getresponse().status == 200"]
ENTRYPOINT ["signed-ledger"]
CMD ["serve"]
