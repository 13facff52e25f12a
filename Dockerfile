# Two images: `anomalyst` (the server and the chat are two commands of it) and `ollama` (Ollama without root).
# Tags are pinned; to pin an image by its bytes as well, append the digest that `docker buildx imagetools inspect` prints.
ARG PYTHON=3.11.15-slim-bookworm
ARG OLLAMA=0.18.2

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_LINK_MODE=copy
COPY requirements.lock requirements.runtime.lock ./
# the installer itself comes out of the lock, by its hashes
RUN awk '/^[a-z0-9]/ { wanted = /^uv==/ } wanted' requirements.lock > installer.lock \
 && python -m pip install --root-user-action ignore --require-hashes --no-deps -r installer.lock
RUN uv venv --python "$(command -v python)" /app \
 && uv pip install --python /app --require-hashes --no-deps --compile-bytecode -r requirements.runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY agent agent
COPY chat_ui chat_ui
RUN uv build --wheel --build-constraints requirements.lock --require-hashes --out-dir /wheel \
 && uv pip install --python /app --no-deps --compile-bytecode /wheel/*.whl

FROM python:${PYTHON} AS anomalyst
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin anomalyst \
 && install -d -o 10001 -g 10001 -m 0700 /var/lib/anomalyst
COPY --from=build /app /app
# compiled kernels are kept beside the stores: the image itself cannot be written
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/var/lib/anomalyst \
    ANOMALYST_HOME=/var/lib/anomalyst NUMBA_CACHE_DIR=/var/lib/anomalyst/kernels
USER 10001:10001
WORKDIR /var/lib/anomalyst
VOLUME /var/lib/anomalyst
ENTRYPOINT ["anomalyst"]
CMD ["--help"]

FROM ollama/ollama:${OLLAMA} AS ollama
# a new volume takes its owner from the folder that it is mounted on
RUN mkdir -m 0700 /models && chown 10001:10001 /models
ENV HOME=/tmp OLLAMA_MODELS=/models OLLAMA_HOST=0.0.0.0:11434
USER 10001:10001
