# The small object as .rds, and as the files that Python reads: values go there as text.
small_files <- function(folder = withr::local_tempdir(.local_envir = parent.frame())) {
  object <- small_object()
  object$clusters <- as.character(SeuratObject::Idents(object))
  at <- function(name) file.path(folder, name)
  saveRDS(object, at("x.rds"))
  for (layer in c("data", "counts")) {
    values <- as.matrix(layer_parts(object, "RNA", layer)[[1]]$mat)
    dimnames(values) <- list(extract_genes(object, "RNA"), colnames(object))
    write.csv(t(values), at(paste0(layer, ".csv")))
  }
  write.csv(object[[c("clusters", "groups")]], at("obs.csv"))
  write.csv(SeuratObject::Embeddings(object, "tsne")[, 1:2], at("tsne.csv"))
  reticulate::py_run_string(paste0(
    "import anndata, pandas, scipy.sparse\n",
    "read = lambda name: pandas.read_csv('", folder, "/' + name + '.csv', index_col=0)\n",
    "data, obs = read('data'), read('obs').astype(str)\n",
    "adata = anndata.AnnData(scipy.sparse.csr_matrix(data.to_numpy()), obs=obs)\n",
    "adata.var_names = data.columns\n",
    "adata.layers['counts'] = scipy.sparse.csr_matrix(read('counts').to_numpy(dtype=float))\n",
    "adata.obsm['X_tsne'] = read('tsne').to_numpy()\n",
    "adata.write_h5ad('", at("x.h5ad"), "')\n",
    "adata.write_zarr('", at("x.zarr"), "')\n"
  ))
  list(object = object, rds = at("x.rds"), others = at(c("x.h5ad", "x.zarr")))
}
