FROM python:3.11-slim-bookworm

# Lets the NVIDIA runtime hand the container a GPU where there is one.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility PYTHONUNBUFFERED=1

# The three lines RUN mkdir, COPY ./ and WORKDIR are the Challenge's own and stay as they are.
RUN mkdir /physionet
# Requirements first: a change of the code does not install them anew.
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir -r /tmp/requirements.txt
COPY ./ /physionet
WORKDIR /physionet
