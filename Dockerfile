# README's two commands: the installation when the image is built, and gradient_flow when it
# runs, on two CPU cores in about a minute.
#   docker build -t depthbench .
#   docker run -v "$PWD/runs:/depthbench/runs" depthbench
# On an NVIDIA GPU, with its driver and the container toolkit on the host; jax's packages
# bring CUDA itself:
#   docker build --build-arg EXTRA=cuda13 -t depthbench:cuda13 .
#   docker run --gpus all -v "$PWD/runs:/depthbench/runs" depthbench:cuda13
# Another command stands behind the image's name: depthbench .venv/bin/depthbench list

# Any image with Python 3.11, 3.12 or 3.13, and pip and venv in it.
ARG BASE=python:3.12-slim
FROM ${BASE}

# One extra of pyproject.toml, or several with commas between them; none on a CPU.
ARG EXTRA=""
# What of the driver a container sees, where the base image does not say it.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility

WORKDIR /depthbench
COPY . .
RUN python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ".${EXTRA:+[$EXTRA]}"
CMD [".venv/bin/depthbench", "run", "gradient_flow"]
