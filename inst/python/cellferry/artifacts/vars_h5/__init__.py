"""vars.h5: expression by gene, counts and gene metadata in one HDF5 file."""
