# detray with all that it needs, the same versions on every machine of a cluster (configs/cluster, docs/cluster.md):
#   docker build -t REGISTRY/detray:cpu .
#   docker build -t REGISTRY/detray:cuda --build-arg LOCK=requirements.cuda.lock .
# With CUDA the libraries come from the lock too; the machine has NVIDIA's driver and container toolkit.
FROM python:3.11.14-slim-bookworm

ARG LOCK=requirements.lock
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    RAY_USAGE_STATS_ENABLED=0 TF_CPP_MIN_LOG_LEVEL=3 \
    NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility

# what Ray's cluster launcher and KubeRay's probes call
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends openssh-client procps rsync wget \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/detray
COPY requirements.lock requirements.cuda.lock ./
RUN pip install --require-hashes -r "$LOCK"
COPY pyproject.toml README.md ./
COPY detray detray
COPY jobs jobs
COPY configs configs
RUN pip install --no-deps --no-build-isolation .
