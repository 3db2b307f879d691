"""Both artifacts of an object, as what two builds are compared by."""

from cellferry import build_artifacts


def built(data, folder, name, **more):
    """Build by leiden; return the bytes of vars.h5 and the percentages."""
    found = build_artifacts(
        data, group_key="leiden", vars_h5_path=folder / f"{name}.h5", progress=False,
        obs_duckdb_path=folder / f"{name}.duckdb", **more,
    )  # fmt: skip
    return found.vars_h5.read_bytes(), found.summary.percentages.tolist()
