"""A cluster of dask beside one machine; see :mod:`.run`."""
