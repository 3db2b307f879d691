# cellferry in both languages, with the versions that were tested.
#   docker build -t cellferry .
#   docker run --rm -v "$PWD:/data" cellferry annotate markers.csv --tissue blood --out pbmc
#   docker run --rm -v "$PWD:/data" --entrypoint Rscript cellferry script.R
# scripts/dockerfile does these steps, one by one, in a bare Debian root without Docker.
FROM debian:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends \
      ca-certificates python3 python3-venv libpython3.13 r-base-core r-cran-seurat \
      r-cran-reticulate r-cran-cli r-cran-rlang r-cran-jsonlite r-cran-ggplot2 r-bioc-limma \
    && rm -rf /var/lib/apt/lists/*
COPY . /usr/src/cellferry
WORKDIR /usr/src/cellferry
RUN python3 -m venv /opt/cellferry
RUN /opt/cellferry/bin/pip install --no-cache-dir --require-hashes -r inst/backend-lock-3.13.txt
RUN /opt/cellferry/bin/pip install --no-cache-dir --no-deps .
RUN R CMD INSTALL --no-test-load .
ENV PATH=/opt/cellferry/bin:/usr/local/bin:/usr/bin:/bin
ENV RETICULATE_PYTHON=/opt/cellferry/bin/python
ENV LANG=C.UTF-8
WORKDIR /data
ENTRYPOINT ["cellferry"]
